"""A wire to a real server that a test can cut, or let lose an answer."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit, urlunsplit

_CHUNK_BYTES = 1 << 20


class Link:
    """Forwards connections to a server; ``url`` is the server's, by way of the link."""

    def __init__(self, server_url: str) -> None:
        self._parts = urlsplit(server_url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._answers_left: int | None = None
        self.lost = asyncio.Event()

    @property
    def url(self) -> str:
        user, separator, _ = self._parts.netloc.rpartition("@")
        netloc = f"{user}{separator}127.0.0.1:{self._port}"
        return urlunsplit(self._parts._replace(netloc=netloc))

    async def open(self) -> None:
        """Accept connections, at the same port each time."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Refuse new connections and break the ones that stand."""
        assert self._server is not None
        self._server.close()
        self._break()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def lose_answer(self, number: int) -> None:
        """Break all connections in place of handing on the answer of that number, from 0.

        The server has done what it was asked; new connections work.
        """
        self.lost.clear()
        self._answers_left = number

    def lose_nothing(self) -> None:
        """Hand every answer on."""
        self._answers_left = None

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._parts.hostname, self._parts.port
        try:
            server_reader, server_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        for pump in (self._forward(reader, server_writer), self._answer(server_reader, writer)):
            task = asyncio.ensure_future(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._loses():
                    self._break()
                    self.lost.set()
                    return
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)

    def _loses(self) -> bool:
        if self._answers_left is None:
            return False
        self._answers_left -= 1
        if self._answers_left >= 0:
            return False
        self._answers_left = None
        return True
