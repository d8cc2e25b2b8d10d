"""The end of the log, or a part of it, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.keys import Keys
from infra.log_tools.ordering import as_it_comes, last, read
from infra.log_tools.reader import LogReader, Span
from infra.log_tools.selection import Selection
from infra.log_tools.showing import shown

#: Records shown when nobody says how many, and from where.
LAST_RECORDS = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show: ``limit`` counts from the start where one was named, else from the end."""

    selection: Selection
    limit: int | None = None
    follow: bool = False
    has_start: bool = False


def views(bootstrap: str, wanted: Wanted, keys: Keys) -> Iterator[dict[str, Any]]:
    """Yield the records that are wanted as JSON objects; with ``follow`` for ever.

    Raises:
        BadSelection, TopicMissing, LogUnreadable, Unavailable: the log cannot be read like that.
    """
    with LogReader(bootstrap) as reader:
        if wanted.has_start:
            found = _from_start(reader, wanted, keys)
            yield from islice(found, wanted.limit) if wanted.limit else found
        else:
            yield from _from_end(reader, wanted, keys)


def _from_start(reader: LogReader, wanted: Wanted, keys: Keys) -> Iterator[dict[str, Any]]:
    for records in read(reader, wanted.selection, follow=wanted.follow):
        yield from shown(records, keys)


def _from_end(reader: LogReader, wanted: Wanted, keys: Keys) -> Iterator[dict[str, Any]]:
    ends = {s: span.end or 0 for s, span in reader.spans(wanted.selection).items()}
    selection = wanted.selection
    yield from shown(last(reader, selection, wanted.limit or LAST_RECORDS, ends), keys)
    if wanted.follow:
        yield from _following(reader, selection, ends, keys)


def _following(
    reader: LogReader, selection: Selection, ends: Mapping[TopicPartition, int], keys: Keys
) -> Iterator[dict[str, Any]]:
    matches = selection.filters.matcher()
    for records in as_it_comes(reader, {source: Span(end, None) for source, end in ends.items()}):
        chosen: Sequence[LogRecord] = [record for record in records if matches(record)]
        yield from shown(chosen, keys)
