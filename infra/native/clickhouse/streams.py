"""A SELECT's result that is sent while it is being computed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import Executor
from dataclasses import dataclass

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from infra.native.clickhouse.compression import Encoder
from infra.native.clickhouse.errors import ServerError
from infra.native.clickhouse.sessions import Lease


@dataclass(frozen=True, slots=True)
class Begun:
    """A SELECT whose first blocks are there: all of them, or some and the way to the others."""

    lease: Lease
    head: bytes
    blocks: Generator[bytes] | None


class ResultStream:
    """The body of a streamed result, encoded; an exception on the way is told inside it.

    ``tell`` returns the bytes that report an exception. Safe to close from another thread.
    """

    def __init__(
        self, begun: Begun, encoder: Encoder | None, tell: Callable[[ServerError], bytes]
    ) -> None:
        self._lease = begun.lease
        self._blocks = self._with_exception(begun, tell)
        self._encoder = encoder
        self._lock = threading.Lock()

    def next(self) -> bytes | None:
        """Return the next bytes of the body, perhaps none of them; None after the end.

        The connection is back before the client can see the end, so that its next request in
        the same session finds it free.
        """
        with self._lock:
            block = next(self._blocks, None)
            if block is not None:
                return self._encoder.encode(block) if self._encoder else block
            self._lease.release()
            encoder, self._encoder = self._encoder, None
            return encoder.finish() if encoder else None

    def close(self) -> None:
        """Cancel what still runs and give the connection back."""
        with self._lock:
            self._blocks.close()
            self._lease.release()

    @staticmethod
    def _with_exception(begun: Begun, tell: Callable[[ServerError], bytes]) -> Generator[bytes]:
        yield begun.head
        if begun.blocks is None:
            return
        try:
            yield from begun.blocks
        except ServerError as failure:
            yield tell(failure)


class StreamedResponse(StreamingResponse):
    """Sends a result stream and closes it, whether it was sent, broken off or never begun."""

    def __init__(self, stream: ResultStream, threads: Executor, headers: dict[str, str]) -> None:
        self._stream = stream
        self._threads = threads
        super().__init__(self._content(), headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Not awaited: this task may be cancelled, and the connection must go back all the same.
            self._threads.submit(self._stream.close)

    async def _content(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while (content := await loop.run_in_executor(self._threads, self._stream.next)) is not None:
            if content:
                yield content
