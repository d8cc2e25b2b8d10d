"""Records of many partitions in the order of their times, as far as that is possible.

Each partition keeps its own order whatever its times say. Between partitions the earliest of the
first ones goes first, and nobody is passed by as long as what has to be held meanwhile stays below
a bound.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.reader import LogReader, Span, Spans
from infra.log_tools.selection import Selection

#: Records held at most while a partition that might have an earlier one is silent.
HELD_RECORDS_MAX = 40_000
#: A partition that is ahead of the others by so many records waits for them.
AHEAD_RECORDS_MAX = 2_000


class Merge:
    """Holds what came too early; ``spans`` are the partitions that will deliver."""

    def __init__(self, spans: Spans) -> None:
        self._queues: dict[TopicPartition, deque[LogRecord]] = {
            source: deque() for source, span in spans.items() if not span.is_empty
        }
        self._silent = set(self._queues)
        self._ended: set[TopicPartition] = set()
        self._heads: list[tuple[int, TopicPartition]] = []
        self._held = 0

    def add(self, records: Sequence[LogRecord], ended: frozenset[TopicPartition]) -> None:
        """Take in records in the order of their partitions, and who will deliver no more."""
        for record in records:
            queue = self._queues[record.source]
            if not queue:
                heapq.heappush(self._heads, (record.timestamp_ms, record.source))
                self._silent.discard(record.source)
            queue.append(record)
        self._held += len(records)
        self._ended |= ended
        self._silent -= ended

    def take(self) -> list[LogRecord]:
        """Return what nothing earlier can come for."""
        ready = []
        while self._heads and (not self._silent or self._held > HELD_RECORDS_MAX):
            _, source = heapq.heappop(self._heads)
            queue = self._queues[source]
            ready.append(queue.popleft())
            self._held -= 1
            if queue:
                heapq.heappush(self._heads, (queue[0].timestamp_ms, source))
            elif source not in self._ended:
                self._silent.add(source)
        return ready

    def ahead(self) -> dict[TopicPartition, int]:
        """Return how many records of each partition that is not at its end are held."""
        return {s: len(queue) for s, queue in self._queues.items() if s not in self._ended}


def in_order(reader: LogReader, spans: Spans) -> Iterator[list[LogRecord]]:
    """Yield the records of bounded spans, ordered by time; raises as ``LogReader.batches``."""
    merge = Merge(spans)
    paused: set[TopicPartition] = set()
    for batch in reader.batches(spans):
        merge.add(batch.records, batch.ended)
        ready = merge.take()
        if ready:
            yield ready
        paused = _hold_back(reader, merge.ahead(), paused)


def _hold_back(
    reader: LogReader, ahead: Mapping[TopicPartition, int], paused: set[TopicPartition]
) -> set[TopicPartition]:
    """Pause partitions that are far ahead, resume those that are not any more."""
    too_far = {s for s, count in ahead.items() if count > AHEAD_RECORDS_MAX} - paused
    caught = {s for s in paused if ahead.get(s, 0) <= AHEAD_RECORDS_MAX // 4}
    if too_far:
        reader.pause(too_far)
    if caught & ahead.keys():
        reader.resume(caught & ahead.keys())
    return (paused | too_far) - caught


def as_it_comes(reader: LogReader, spans: Spans) -> Iterator[list[LogRecord]]:
    """Yield the records of endless spans; those that arrive together are ordered by time."""
    for batch in reader.batches(spans):
        queues: dict[TopicPartition, list[LogRecord]] = {}
        for record in batch.records:
            queues.setdefault(record.source, []).append(record)
        if queues:
            yield list(heapq.merge(*queues.values(), key=lambda record: record.timestamp_ms))


def read(
    reader: LogReader, selection: Selection, *, follow: bool = False
) -> Iterator[list[LogRecord]]:
    """Yield the records of a selection, in order, filtered; with ``follow`` go on for ever.

    Raises as ``LogReader.spans`` and ``LogReader.batches``.
    """
    matches = selection.filters.matcher()
    for records in _unfiltered(reader, selection, follow=follow):
        chosen = [record for record in records if matches(record)]
        if chosen:
            yield chosen


def _unfiltered(
    reader: LogReader, selection: Selection, *, follow: bool
) -> Iterator[list[LogRecord]]:
    spans = reader.spans(selection)
    yield from in_order(reader, spans)
    if follow:
        endless = {s: Span(max(span.start, span.end or 0), None) for s, span in spans.items()}
        yield from as_it_comes(reader, endless)


def last(
    reader: LogReader, selection: Selection, count: int, ends: Mapping[TopicPartition, int]
) -> list[LogRecord]:
    """Return the last ``count`` records before the ends in order, reading backwards in windows.

    Raises as ``read``.
    """
    starts = {s: min(span.start, ends[s]) for s, span in reader.spans(selection).items()}
    window = max(count, 64)
    while True:
        spans = {s: Span(max(start, ends[s] - window), ends[s]) for s, start in starts.items()}
        found, is_enough = _look(reader, selection, spans, count)
        if is_enough or all(spans[s].start <= start for s, start in starts.items()):
            return found
        window *= 8


def _look(
    reader: LogReader, selection: Selection, spans: Spans, count: int
) -> tuple[list[LogRecord], bool]:
    """Return the last records of the spans, and whether nothing before the spans is later."""
    matches = selection.filters.matcher()
    found: deque[LogRecord] = deque(maxlen=count)
    earliest: dict[TopicPartition, int] = {}
    for records in in_order(reader, spans):
        for record in records:
            earliest.setdefault(record.source, record.timestamp_ms)
        found.extend(record for record in records if matches(record))
    is_enough = len(found) == count and all(
        span.start == 0 or span.is_empty or earliest.get(s, math.inf) <= found[0].timestamp_ms
        for s, span in spans.items()
    )
    return list(found), is_enough
