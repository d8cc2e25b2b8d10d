"""The log as a Python iterator, for data teams: ``for recorded in replay(bootstrap, …)``.

It stands here and not in ``events``, because ``events`` does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from events.base import Recorded, TopicPartition
from events.codec import decode_all
from infra.log_tools.keys import Keys, NoKeys
from infra.log_tools.ordering import read
from infra.log_tools.reader import LogReader
from infra.log_tools.selection import Filters, Selection, choose_topics


def replay(
    bootstrap: str,
    *,
    domains: Iterable[str] = (),
    topics: Iterable[str] = (),
    types: Iterable[str] = (),
    keys: Iterable[str] = (),
    streams: Iterable[str] = (),
    actors: Iterable[str] = (),
    correlations: Iterable[str] = (),
    commands: Iterable[str] = (),
    partitions: Iterable[int] = (),
    outcomes: bool = False,
    offsets: Mapping[TopicPartition, int] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    from_end: bool = False,
    follow: bool = False,
    key_ring: Keys | None = None,
) -> Iterator[Recorded]:
    """Yield committed events, each partition in order, between partitions ordered by time.

    Events are lifted to what they are today: a record is one event, or several where its event was
    split since. Without ``key_ring`` personal fields read
    ``erased:<person id>``; ``infra.log_tools.keys.stored_keys`` opens the keys. ``types`` with a
    version mean that stored version alone. ``since`` and ``until`` are about when a record was
    appended. The reading ends where the log ended when it began; with ``follow`` it never does.

    Raises:
        BadSelection: there is no such domain, topic, event or partition.
        UndecodableRecord, UnknownEventType: a record is not what it claims.
        Unavailable: Kafka does not answer.
    """
    types = frozenset(types)
    selection = Selection(
        choose_topics(topics=topics, domains=domains, types=types, outcomes=outcomes),
        partitions=frozenset(partitions),
        filters=Filters(
            types=types,
            keys=frozenset(keys),
            streams=frozenset(streams),
            actors=frozenset(actors),
            correlations=frozenset(correlations),
            commands=frozenset(commands),
        ),
        offsets=offsets or {},
        since=since,
        until=until,
        at_end=from_end,
    )
    return _decoded(bootstrap, selection, key_ring or NoKeys(), follow=follow)


def _decoded(
    bootstrap: str, selection: Selection, keys: Keys, *, follow: bool
) -> Iterator[Recorded]:
    keeps = selection.filters.keeps
    with LogReader(bootstrap) as reader:
        for records in read(reader, selection, follow=follow):
            keys.load({person for record in records for person in record.persons()})
            for record in records:
                yield from filter(keeps, decode_all(record, keys.ring))
