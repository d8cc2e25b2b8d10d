"""Opponent: a bare ASGI application under uvicorn that runs the same statements.

It routes by a dictionary, validates nothing, maps no rows, and encodes an answer of the same bytes
with orjson: what is left when everything that a framework and an application do is taken away.

``python -m benchmarks.query_api.bare_app TAPES PORT``
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.query_api.replay import Player, player

Message = MutableMapping[str, Any]


class BareApp:
    """The application."""

    def __init__(self, tapes_path: Path) -> None:
        self._tapes_path = tapes_path
        self._stack = AsyncExitStack()
        self._player: Player | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        assert self._player is not None
        query = scope["query_string"].decode()
        body = await self._player.answer(scope["path"] + ("?" + query if query else ""))
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(
        self,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        await receive()
        self._player = await self._stack.enter_async_context(player(self._tapes_path))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    uvicorn.run(
        BareApp(Path(sys.argv[1])),
        port=int(sys.argv[2]),
        access_log=False,
        log_level="warning",
        server_header=False,
    )
