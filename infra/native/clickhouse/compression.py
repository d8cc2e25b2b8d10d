"""The content encodings of ClickHouse's HTTP interface, as streams, in both directions."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol, cast

import lz4.frame  # type: ignore[import-untyped]
from backports import zstd

from infra.native.clickhouse.errors import ExceptionCode, ServerError

_GZIP_WINDOW_BITS = 31
_GZIP_LEVEL = 3
_ZSTD_LEVEL = 1


class _Decompressor(Protocol):
    """What zlib, lz4, zstd, bz2 and lzma have in common: one frame, and what follows it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], object]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "gzip": lambda: zlib.decompressobj(_GZIP_WINDOW_BITS),
    "deflate": zlib.decompressobj,
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}
# In the order of preference: the cheapest first, for clients on the same machine.
_COMPRESSORS: dict[str, Callable[[], object]] = {
    "lz4": lz4.frame.LZ4FrameCompressor,
    "zstd": lambda: zstd.ZstdCompressor(level=_ZSTD_LEVEL),
    "gzip": lambda: zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW_BITS),
    "deflate": lambda: zlib.compressobj(_GZIP_LEVEL),
}


class Decoder:
    """Undoes one content encoding, chunk by chunk; frames may follow one another."""

    def __init__(self, encoding: str) -> None:
        """``encoding`` is a Content-Encoding; raises ServerError when it is not known."""
        if encoding not in _DECOMPRESSORS:
            raise ServerError.of(
                ExceptionCode.UNKNOWN_COMPRESSION_METHOD,
                f"Unknown compression method '{encoding}'; known: {', '.join(_DECOMPRESSORS)}",
            )
        self._encoding = encoding
        self._frame: _Decompressor | None = None

    def decode(self, data: bytes) -> bytes:
        """Return what ``data`` adds; raises ServerError when it is not of this encoding."""
        plain: list[bytes] = []
        while data:
            if self._frame is None:
                self._frame = cast("_Decompressor", _DECOMPRESSORS[self._encoding]())
            try:
                plain.append(self._frame.decompress(data))
            except (RuntimeError, zlib.error, zstd.ZstdError, OSError, lzma.LZMAError) as failure:
                raise self._broken(str(failure)) from failure
            if not self._frame.eof:
                break
            data = self._frame.unused_data or b""
            self._frame = None
        return plain[0] if len(plain) == 1 else b"".join(plain)

    def finish(self) -> None:
        """Raise ServerError when the data ended inside a frame."""
        if self._frame is not None:
            raise self._broken("the data ends inside a frame")

    def _broken(self, reason: str) -> ServerError:
        return ServerError.of(
            ExceptionCode.CANNOT_DECOMPRESS, f"Cannot decompress {self._encoding}: {reason}"
        )


class Encoder:
    """Applies one content encoding to an answer, chunk by chunk."""

    def __init__(self, encoding: str) -> None:
        """``encoding`` is one that ``choose_encoding`` returned."""
        self.encoding = encoding
        compressor = _COMPRESSORS[encoding]()
        begin: Callable[[], bytes] = getattr(compressor, "begin", bytes)
        self._prefix = begin()
        self._compressor = cast("_Compressor", compressor)

    def encode(self, data: bytes) -> bytes:
        """Return compressed bytes that ``data`` brings about, perhaps none."""
        prefix, self._prefix = self._prefix, b""
        return prefix + self._compressor.compress(data)

    def finish(self) -> bytes:
        """Return the end of the stream."""
        prefix, self._prefix = self._prefix, b""
        return prefix + self._compressor.flush()


def choose_encoding(accept_encoding: str) -> str | None:
    """Return the encoding to answer in, given an Accept-Encoding header; None for none."""
    accepted = {
        part.partition(";")[0].strip().lower()
        for part in accept_encoding.split(",")
        if "q=0" not in part.replace(" ", "").split(";")[1:]
    }
    return next((name for name in _COMPRESSORS if name in accepted), None)
