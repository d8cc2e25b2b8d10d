"""Reading a request's body: decoded, in portions, without holding all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from infra.native.clickhouse.compression import Decoder


class BodyReader:
    """The decoded bytes of a body, handed out in portions of a chosen size."""

    def __init__(self, chunks: AsyncIterator[bytes], encoding: str) -> None:
        """``encoding`` is the Content-Encoding, empty for none; raises ServerError if unknown."""
        self._chunks = chunks
        plain = encoding in {"", "identity"}
        self._decoder = None if plain else Decoder(encoding)
        self.finished = False

    async def portion(self, size_min: int) -> bytes:
        """Return at least this many bytes, or all that are left; raises ServerError."""
        parts: list[bytes] = []
        size = 0
        while size < size_min and not self.finished:
            part = await self._next()
            parts.append(part)
            size += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def rest(self) -> bytes:
        """Return all that is left."""
        parts: list[bytes] = []
        while not self.finished:
            parts.append(await self._next())
        return b"".join(parts)

    async def _next(self) -> bytes:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            self.finished = True
            if self._decoder:
                self._decoder.finish()
            return b""
        return self._decoder.decode(chunk) if self._decoder else chunk
