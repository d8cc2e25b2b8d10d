"""Rows that are too many for memory: kept in files, and given back in groups of one hash.

Rows go into ``BUCKETS`` files by the highest bits of their hash, so that all rows of a hash stand
in one file. A reader takes one file at a time: what is held is a buffer of ``BUFFER_ROWS`` rows
while writing, and a ``BUCKETS``-th part of all rows while reading.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

BUCKETS = 128
BUFFER_ROWS = 8_192
_BUCKET_SHIFT = np.uint64(64 - BUCKETS.bit_length() + 1)
_WORD = 0xFFFF_FFFF_FFFF_FFFF

Rows = npt.NDArray[np.void]


def hash_of(text: str | bytes) -> int:
    """Return 64 bits of Python's own keyed hash (SipHash): the same in this process only."""
    return hash(text) & _WORD


def _nameless(folder: Path) -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile(dir=folder, buffering=0))


class Spill:
    """Rows of a numpy record type whose first field is ``hash`` (``u8``)."""

    def __init__(self, folder: Path, dtype: npt.DTypeLike) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._dtype: np.dtype[np.void] = np.dtype(dtype)
        self._buffer: list[tuple[Any, ...]] = []
        self._files: list[BinaryIO] = []
        self._stack = contextlib.ExitStack()
        for _ in range(BUCKETS):
            # Without a name from the start: nothing is left behind, however the process ends.
            self._files.append(self._stack.enter_context(_nameless(folder)))
        self.rows = 0

    @property
    def bytes(self) -> int:
        """What the rows take on disk."""
        return self.rows * self._dtype.itemsize

    def close(self) -> None:
        """Give the space back."""
        self._stack.close()

    def add(self, *row: Any) -> None:
        """Add a row, the hash first."""
        self._buffer.append(row)
        if len(self._buffer) >= BUFFER_ROWS:
            self._flush()

    def _flush(self) -> None:
        rows = np.array(self._buffer, dtype=self._dtype)
        self._buffer.clear()
        self.rows += len(rows)
        bucket = rows["hash"] >> _BUCKET_SHIFT
        rows = rows[np.argsort(bucket, kind="stable")]
        ends = np.cumsum(np.bincount(bucket.astype(np.intp), minlength=BUCKETS))
        for file, part in zip(self._files, np.split(rows, ends[:-1]), strict=True):
            if len(part):
                file.write(part.tobytes())

    def buckets(self) -> Iterator[Rows]:
        """Yield all rows, those of one hash together in one array."""
        if self._buffer:
            self._flush()
        for file in self._files:
            file.seek(0)
            rows = np.frombuffer(file.read(), dtype=self._dtype)
            if len(rows):
                yield rows
