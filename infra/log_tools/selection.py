"""Which part of the log a reader wants: topics, partitions, where it starts and ends, filters.

Time means when a record was appended: Kafka's record timestamp. It finds offsets without reading,
and in a partition it grows; the time of an event (``ce_time``) is when its command was issued,
which may be earlier.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from events import clock
from events.base import Recorded, TopicPartition
from events.codec import LogRecord
from events.outcomes import CommandDecided
from infra.log_tools.errors import BadSelection
from infra.log_tools.names import NAMES, without_version
from schemas.catalogue import DOMAINS, Domain

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d+)([smhdw])")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a record must say; an empty field asks for nothing.

    ``types`` are names of events: with a version (``video.liked.v1``) that stored name alone,
    without one every version and every former name (``Names.meant_by``).
    """

    types: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()
    actors: frozenset[str] = frozenset()
    correlations: frozenset[str] = frozenset()
    commands: frozenset[str] = frozenset()

    def matcher(self) -> Callable[[LogRecord], bool]:
        """Return the test that a record must pass; headers are compared as they stand."""
        wanted = [
            (header, frozenset(value.encode() for value in values))
            for header, values in self._headers().items()
            if values
        ]
        keys = self.keys

        def matches(record: LogRecord) -> bool:
            headers = record.headers
            return (not keys or record.key in keys) and all(
                headers.get(header) in values for header, values in wanted
            )

        return matches

    def keeps(self, recorded: Recorded) -> bool:
        """Tell whether an event is wanted; of a record that was split not each of them may be."""
        stored_name = recorded.metadata.stored_name
        names = (recorded.event.name, stored_name, without_version(stored_name))
        return not self.types or not self.types.isdisjoint(names)

    def _headers(self) -> Mapping[str, frozenset[str]]:
        return {
            "ce_type": frozenset(name for text in self.types for name in NAMES.meant_by(text)),
            "ce_subject": self.streams,
            "actor_id": self.actors,
            "correlation_id": self.correlations,
            "command_id": self.commands,
        }

    def described(self) -> dict[str, list[str]]:
        """Return the filters as JSON, the same for the same filters."""
        return {
            name: sorted(getattr(self, name))
            for name in ("types", "keys", "streams", "actors", "correlations", "commands")
            if getattr(self, name)
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of the log.

    ``partitions`` empty means all. Of the starts ``offset``, ``since`` and ``at_end`` one at most
    is set; none means the beginning. ``offsets`` goes before them in the partitions that it names.
    ``until`` ends each partition before its first record at or after that moment.
    """

    topics: tuple[str, ...]
    partitions: frozenset[int] = frozenset()
    filters: Filters = field(default_factory=Filters)
    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    offset: int | None = None
    since: datetime | None = None
    at_end: bool = False
    until: datetime | None = None

    def described(self) -> dict[str, Any]:
        """Return topics, partitions and filters as JSON: what a bookmark belongs to."""
        return {
            "topics": sorted(self.topics),
            "partitions": sorted(self.partitions),
            "filters": self.filters.described(),
        }

    def starting_at(self, offsets: Mapping[TopicPartition, int]) -> Selection:
        """Return the same with the starts of some partitions."""
        return replace(self, offsets=offsets)


def choose_topics(
    *,
    topics: Iterable[str] = (),
    domains: Iterable[str] = (),
    types: Iterable[str] = (),
    outcomes: bool = False,
) -> tuple[str, ...]:
    """Return the topics that hold what is asked for.

    Named topics are taken as they are. Otherwise it is the events of the domains (all by default),
    narrowed to those that hold the types; ``outcomes`` adds the domains' outcomes.

    Raises:
        BadSelection: there is no such topic, domain or event.
    """
    types = list(types)
    for text in types:
        NAMES.meant_by(text)
    named = tuple(dict.fromkeys(topics))
    if named:
        return tuple(_known_topic(topic) for topic in named)
    chosen = [_domain(name) for name in domains] or list(DOMAINS)
    return tuple(_topics_of(chosen, types, outcomes=outcomes))


def _topics_of(chosen: Iterable[Domain], types: list[str], *, outcomes: bool) -> Iterable[str]:
    wanted = {NAMES.homes[name] for text in types for name in NAMES.meant_by(text)}
    for domain in chosen:
        if not types or domain.name in wanted:
            yield domain.events
    if outcomes or CommandDecided.domain in wanted:
        yield from (domain.outcomes for domain in chosen)


def _known_topic(topic: str) -> str:
    known = [name for domain in DOMAINS for name in (domain.events, domain.outcomes)]
    if topic not in known:
        raise BadSelection(f"'{topic}' is no topic of the log; there are {', '.join(known)}")
    return topic


def _domain(name: str) -> Domain:
    known = {domain.name: domain for domain in DOMAINS}
    if name not in known:
        raise BadSelection(f"'{name}' is no domain; there are {', '.join(known)}")
    return known[name]


def moment(text: str, now: datetime | None = None) -> datetime:
    """Return the moment that ISO 8601 text names, or that a span like ``90m`` ago was.

    Text without an offset is UTC. Spans count seconds, minutes, hours, days or weeks.

    Raises:
        BadSelection: it is neither.
    """
    span = _SPAN.fullmatch(text)
    if span:
        amount, unit = int(span.group(1)), _UNITS[span.group(2)]
        try:
            return (now or clock.now()) - timedelta(**{unit: amount})
        except OverflowError:
            raise BadSelection(f"'{text}' is longer ago than time goes back") from None
    try:
        found = clock.from_text(text)
    except ValueError:
        raise BadSelection(f"'{text}' is neither a time (ISO 8601) nor a span like 2h") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
