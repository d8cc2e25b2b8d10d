"""Answers that reach the socket whole.

Uvicorn writes the head of an answer and then its body, and uvloop takes each straight to the
kernel; a call of it costs more than most of what makes an answer.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: What is written at once beyond this goes out without waiting for more.
_GATHERED_BYTES_MAX = 64 * 1024


class GatheringTransport:
    """Passes on in one piece what is written within one turn of the event loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._gathered = bytearray()

    def write(self, data: bytes) -> None:
        if not self._gathered:
            self._loop.call_soon(self._flush)
        self._gathered += data
        if len(self._gathered) > _GATHERED_BYTES_MAX:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        # The client may have gone since; then there is nobody to write to.
        if gathered and not self._transport.is_closing():
            self._transport.write(gathered)


class OneWriteProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol over such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", GatheringTransport(transport, self.loop)))
