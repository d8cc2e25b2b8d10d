"""The connection to Redis, its errors, and its scripts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - the library's own name
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,  # noqa: A004 - the library's own name
    TryAgainError,
)

from projections.ports import StoreUnavailable

#: Errors after which the same request can be tried again.
RETRIABLE = (
    OSError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TimeoutError,
    TryAgainError,
)
#: What a server says that takes no writes for now: no memory left, a disk that is full (MISCONF),
#: a replica. Of a command within a script the library knows no more than the text.
_NOT_NOW = re.compile(
    r"(?:^|.*pipeline caused error: \(?['\"]?)(?:Error running script .*: -)?"
    r"(?:OOM|MISCONF|READONLY|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|BUSY) ",
    re.DOTALL,
)
_SHOWN = 120
_CONNECT_TIMEOUT_S = 2.0
#: Longer than the longest script: a step of 5,000 events takes 20 ms.
_ANSWER_TIMEOUT_S = 10.0
#: In a cluster a node can move or go between two commands.
_IDLE_CHECK_S = 15
_RECONNECTS = 2
_RECONNECT_AFTER_S = 0.02


def connect(url: str) -> Redis:
    """Return a pool of connections to ``redis://…``; the first command connects."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        socket_timeout=_ANSWER_TIMEOUT_S,
        health_check_interval=_IDLE_CHECK_S,
        # A server that was restarted has closed every connection of the pool: each is opened anew
        # at its next use. Sent twice, a step is applied once; a request may count twice in a limit.
        retry=Retry(ConstantBackoff(_RECONNECT_AFTER_S), _RECONNECTS),
    )


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Turn errors of a server that is away, or takes no writes, into ``StoreUnavailable``."""
    try:
        yield
    except RETRIABLE as error:
        raise StoreUnavailable(f"Redis: {type(error).__name__}: {error}") from error
    except ResponseError as error:
        if _NOT_NOW.match(str(error)) is None:
            raise
        # The text may hold what was to be written.
        raise StoreUnavailable(f"Redis takes no writes: {str(error)[-_SHOWN:]}") from error


class Script:
    """A Lua script; the server keeps it by its digest until it restarts."""

    def __init__(self, path: Path) -> None:
        self._source = path.read_text(encoding="utf-8")
        self._digest = sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> Any:
        """Return the answer to each call of keys and arguments; all go out at once.

        Each call is atomic by itself. An error that the server answers with is raised.
        """
        try:
            return await self._send(redis, calls)
        except NoScriptError:
            await redis.script_load(self._source)
            return await self._send(redis, calls)

    async def _send(
        self, redis: Redis, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]
    ) -> list[Any]:
        async with redis.pipeline(transaction=False) as pipeline:
            for keys, arguments in calls:
                pipeline.evalsha(self._digest, len(keys), *keys, *arguments)
            return await pipeline.execute()
