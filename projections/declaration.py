"""How a projection is declared: which events it reads, where it lives, how its rows evolve.

One live runner and one rebuild runner run every projection; no read model writes its own loop.
``evolve`` is pure and total: it never rejects a recorded fact, and returns changes that say what
to do to rows. Applying the changes of an event exactly once is the sink's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from events.base import Event, Recorded
from events.outcomes import DOMAIN as OUTCOMES
from schemas.catalogue import DOMAINS

Key = tuple[Any, ...]

# Changes are made by the hundred thousand and never changed; freezing them would triple the cost.


@dataclass(slots=True)
class Put:
    """Set these columns of a row, which is made where it is missing."""

    table: str
    key: Key
    values: Mapping[str, Any]


@dataclass(slots=True)
class Increment:
    """Add to counters of a row, which is made where it is missing."""

    table: str
    key: Key
    amounts: Mapping[str, int | float]


@dataclass(slots=True)
class Remove:
    """Remove a row."""

    table: str
    key: Key


@dataclass(slots=True)
class Append:
    """Add a row to a table that only grows."""

    table: str
    values: Mapping[str, Any]


@dataclass(slots=True)
class RedisCommand:
    """A command of Redis; increments of the same counter in a batch are summed up."""

    arguments: tuple[str | int | float, ...]


Change = Put | Increment | Remove | Append | RedisCommand


class Store(StrEnum):
    POSTGRES = "postgres"
    REDIS = "redis"
    CLICKHOUSE = "clickhouse"
    OPENSEARCH = "opensearch"


class AfterPoison(StrEnum):
    """What becomes of the later records of a key once one of them cannot be digested.

    ``PARK`` has them wait among the dead letters until the first is retried or discarded: rows are
    then never further than the gap. ``GO_ON`` applies them, and the first late. What parked and is
    to go on gets a new version: letters of keys that wait are retried as nothing came behind them.
    """

    GO_ON = "go on"
    PARK = "park"


@dataclass(frozen=True, slots=True)
class Table:
    """A table or index: columns with their types in the store's own words, key, indexes.

    A column is ``type`` or ``type DEFAULT value``. ``options`` are the store's own (an engine, a
    mapping).
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    indexes: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Projection:
    """A read model. Its name is its identity in every store; its version names the shape.

    ``build`` counts how often a version was built anew beside the one that readers see.
    """

    name: str
    version: int
    store: Store
    events: tuple[type[Event], ...]
    evolve: Callable[[Recorded], Iterable[Change]]
    tables: tuple[Table, ...] = ()
    build: int = 0
    after_poison: AfterPoison = AfterPoison.GO_ON

    @property
    def tag(self) -> str:
        """What tells this build from others of the projection in every store: ``v3``, ``v3b2``."""
        return f"v{self.version}b{self.build}" if self.build else f"v{self.version}"

    def topics(self) -> frozenset[str]:
        """Return the topics in which its events stand."""
        return self._topics

    @cached_property
    def _topics(self) -> frozenset[str]:
        return frozenset(topic for event in self.events for topic in _topics(event))


def _topics(event: type[Event]) -> Sequence[str]:
    if event.domain == OUTCOMES:
        return [domain.outcomes for domain in DOMAINS]
    return [f"events.{event.domain}"]
