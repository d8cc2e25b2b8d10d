"""A client that costs little: StreamHub and the load generator share the cores.

It speaks the part of HTTP/1.1 that the API's answers need: connections that stay open, and bodies
whose length is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_HEAD_END = b"\r\n\r\n"
_ANSWER_BYTES_MAX = 2**24
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the head is the lines before the body, as they came."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value, "" where there is none."""
        wanted = f"\r\n{name.lower()}:".encode()
        _, found, rest = self.head.lower().partition(wanted)
        if not found:
            return ""
        start = len(self.head) - len(rest)
        return self.head[start:].partition(b"\r\n")[0].strip().decode()


def request(
    method: str, path: str, headers: Mapping[str, str] = _NO_HEADERS, body: bytes = b""
) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: benchmark"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in {"POST", "PUT"}:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + _HEAD_END + body


class Connections:
    """Open connections to one server; each carries a request at a time."""

    def __init__(self, url: str, limit: int) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._free = asyncio.Semaphore(limit)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, message: bytes) -> Answer:
        """Send a request over a connection that is free, a new one where none is.

        Raises:
            OSError: the server is away, breaks off, or does not answer for a minute.
        """
        async with self._free:
            reader, writer = await self._connection()
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    writer.write(message)
                    answer = await _read(reader)
            except BaseException as error:
                writer.close()
                if isinstance(error, EOFError):
                    raise ConnectionResetError("the server broke off") from error
                raise
            self._idle.append((reader, writer))
            return answer

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return an idle connection that the server has not closed meanwhile, or a new one."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await self._open()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._place, limit=_ANSWER_BYTES_MAX)

    def close(self) -> None:
        """Close the connections that are idle."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(_HEAD_END)
    lengths = [line for line in head.split(b"\r\n")[1:] if line[:15].lower() == b"content-length:"]
    body = await reader.readexactly(int(lengths[0][15:])) if lengths else b""
    return Answer(int(head[9:12]), head, body)


@asynccontextmanager
async def connections(url: str, limit: int) -> AsyncIterator[Connections]:
    """Yield connections to a server and close them."""
    opened = Connections(url, limit)
    try:
        yield opened
    finally:
        opened.close()
