"""One unpacking and one decoding of the log for all stores that are built in a pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import tee

from events.codec import LogRecord
from projections.batches import Batch


class _Shared(Iterable[LogRecord]):
    """Records that others go over too, side by side; whoever reads them again gets them anew."""

    def __init__(self, first: Iterator[LogRecord], anew: Iterable[LogRecord]) -> None:
        self._first: Iterator[LogRecord] | None = first
        self._anew = anew

    def __iter__(self) -> Iterator[LogRecord]:
        first, self._first = self._first, None
        return iter(self._anew) if first is None else first


def shared(batch: Batch, readers: int) -> Sequence[Batch]:
    """Return the batch for each of its readers.

    A record is there from when the fastest of them comes to it until the slowest has passed it.
    """
    if readers == 1:
        return [batch]
    return [
        replace(batch, records=_Shared(records, batch.records))
        for records in tee(batch.records, readers)
    ]
