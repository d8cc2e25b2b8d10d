"""What stands in the log: records, bytes and times of each type in each partition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.reader import LogReader
from infra.log_tools.selection import Selection

#: Type shown for records without one.
UNTYPED = "(no type)"


@dataclass(slots=True)
class TypeStats:
    """The records of one type in one partition.

    ``bytes`` counts keys, headers and bodies as they were sent; compression makes them fewer in
    Kafka's files. Times are those of appending, in ms since 1970.
    """

    source: TopicPartition
    type: str
    records: int = 0
    bytes: int = 0
    first_ms: int = 0
    last_ms: int = 0

    def add(self, record: LogRecord) -> None:
        """Count a record."""
        moment = record.timestamp_ms
        self.first_ms = min(self.first_ms, moment) if self.records else moment
        self.last_ms = max(self.last_ms, moment)
        self.records += 1
        self.bytes += size_of(record)


def size_of(record: LogRecord) -> int:
    """Return the bytes of key, headers and body."""
    headers = sum(len(name) + len(value) for name, value in record.headers.items())
    return len(record.key.encode()) + headers + len(record.value)


def collect(records: Iterable[LogRecord]) -> list[TypeStats]:
    """Return the figures of each type in each partition, ordered by place and name."""
    found: dict[tuple[TopicPartition, str], TypeStats] = {}
    for record in records:
        name = record.headers.get("ce_type", UNTYPED.encode()).decode("utf-8", "replace")
        stats = found.get((record.source, name))
        if stats is None:
            stats = found[record.source, name] = TypeStats(record.source, name)
        stats.add(record)
    return [found[place] for place in sorted(found)]


def measure(
    reader: LogReader, selection: Selection, on_progress: Callable[[int, int], None]
) -> list[TypeStats]:
    """Return the figures of a selection; ``on_progress`` hears offsets passed and their sum.

    Raises as ``LogReader.spans`` and ``LogReader.batches``.
    """
    return collect(_matching(reader, selection, on_progress))


def _matching(
    reader: LogReader, selection: Selection, on_progress: Callable[[int, int], None]
) -> Iterator[LogRecord]:
    spans = reader.spans(selection)
    whole = sum(max(0, (span.end or 0) - span.start) for span in spans.values())
    matches = selection.filters.matcher()
    passed = dict.fromkeys(spans, 0)
    for batch in reader.batches(spans):
        for record in batch.records:
            passed[record.source] = record.offset + 1 - spans[record.source].start
            if matches(record):
                yield record
        for source in batch.ended:
            passed[source] = (spans[source].end or 0) - spans[source].start
        on_progress(sum(passed.values()), whole)
