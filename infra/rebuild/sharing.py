"""One unpacking and one decoding of the log for all stores that are built in a pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import tee

from events.codec import LogRecord
from projections.batches import Batch


class _Source(Iterable[LogRecord]):
    """The records that are shared; ends where they cannot be read, and knows why."""

    def __init__(self, records: Iterable[LogRecord]) -> None:
        self.records = records
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[LogRecord]:
        try:
            yield from self.records
        except Exception as error:  # noqa: BLE001 - each reader raises it
            self.error = error


class _Share(Iterable[LogRecord]):
    """Records that others go over too, side by side; whoever reads them again gets them anew."""

    def __init__(self, source: _Source, first: Iterator[LogRecord]) -> None:
        self._source = source
        self._first: Iterator[LogRecord] | None = first

    def __iter__(self) -> Iterator[LogRecord]:
        first, self._first = self._first, None
        return iter(self._source.records) if first is None else self._side_by_side(first)

    def _side_by_side(self, first: Iterator[LogRecord]) -> Iterator[LogRecord]:
        yield from first
        if self._source.error is not None:
            raise self._source.error


def shared(batch: Batch, readers: int) -> Sequence[Batch]:
    """Return the batch for each of its readers.

    A record is there from when the fastest of them comes to it until the slowest has passed it.
    """
    if readers == 1:
        return [batch]
    source = _Source(batch.records)
    return [replace(batch, records=_Share(source, first)) for first in tee(source, readers)]
