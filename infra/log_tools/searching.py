"""Searches of the log that somebody waits for: bounded in time, and gone on with where they ended.

Ids are UUIDs of version 7 where the system makes them: they carry the time before which nothing
can speak of them, so a search begins there and not at the beginning of the log.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from events.base import TopicPartition
from events.codec import LogRecord
from events.errors import NotFound
from infra.log_tools.errors import BadSelection
from infra.log_tools.ordering import in_order
from infra.log_tools.reader import LogReader, Span
from infra.log_tools.selection import Selection

#: Whoever looks at a page waits no longer than this for one search.
BUDGET_S = 6.0
#: Clocks of machines differ.
_SLACK = timedelta(minutes=1)
#: Partitions and digits of a cursor at most.
_CURSOR_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is looked for: records found, and seconds spent."""

    records: int
    budget_s: float = BUDGET_S


@dataclass(slots=True)
class Search:
    """What a search found; ``cursor`` is where to go on, empty when all was read."""

    found: list[LogRecord] = field(default_factory=list)
    read: int = 0
    cursor: str = ""


def born(text: str) -> datetime | None:
    """Return when an id was made, with some slack; None for ids that do not tell."""
    try:
        known = uuid.UUID(text)
        if known.version == 7:
            return datetime.fromtimestamp((known.int >> 80) / 1000, UTC) - _SLACK
    except (ValueError, OverflowError):
        # It is none, or of a year that nobody will see.
        return None
    return None


def search(
    reader: LogReader,
    selection: Selection,
    wanted: Callable[[LogRecord], bool],
    bounds: Bounds,
    cursor: str = "",
) -> Search:
    """Return the records of a selection that are wanted, in order, within bounds.

    Raises:
        BadSelection: the cursor is none of this selection.
        Unavailable, TopicMissing, LogUnreadable.
    """
    spans = _from_cursor(reader.spans(selection), cursor)
    result, deadline = Search(), time.monotonic() + bounds.budget_s
    at = {source: span.start for source, span in spans.items()}
    for record in _records(reader, spans):
        if len(result.found) == bounds.records or time.monotonic() > deadline:
            result.cursor = _cursor(at)
            break
        at[record.source] = record.offset + 1
        result.read += 1
        if wanted(record):
            result.found.append(record)
    return result


def _records(reader: LogReader, spans: Mapping[TopicPartition, Span]) -> Iterator[LogRecord]:
    for records in in_order(reader, spans):
        yield from records


def _cursor(at: Mapping[TopicPartition, int]) -> str:
    return ",".join(f"{s.topic}:{s.partition}:{offset}" for s, offset in sorted(at.items()))


def _from_cursor(spans: Mapping[TopicPartition, Span], cursor: str) -> dict[TopicPartition, Span]:
    found = dict(spans)
    for part in filter(None, cursor[:_CURSOR_CHARACTERS].split(",")):
        topic, _, rest = part.partition(":")
        number, _, offset = rest.partition(":")
        source = TopicPartition(topic, int(number) if number.isdecimal() else -1)
        if source not in found or not offset.isdecimal():
            raise BadSelection("that is no place to go on from")
        span = found[source]
        found[source] = Span(min(max(span.start, int(offset)), span.end or 0), span.end)
    return found


def speaks_of(text: str) -> Callable[[LogRecord], bool]:
    """Return the test of records about an aggregate: its key, or a stream that names it."""
    name = text.encode()

    def wanted(record: LogRecord) -> bool:
        return record.key == text or name in record.headers.get("ce_subject", b"")

    return wanted


def record_at(reader: LogReader, source: TopicPartition, offset: int) -> LogRecord:
    """Return the record at a place.

    Raises:
        NotFound: none stands there.
        TopicMissing, Unavailable.
    """
    known = [s for s in reader.partitions([source.topic]) if s == source]
    starts, ends = reader.starts(known), reader.ends(known)
    if known and starts[source] <= offset < ends[source]:
        for batch in reader.batches({source: Span(offset, offset + 1)}):
            for record in batch.records:
                return record
    raise NotFound(f"No record stands at {source.topic}/{source.partition}/{offset}")
