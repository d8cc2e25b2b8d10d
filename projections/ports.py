"""What the runner needs of the stores; ``infra`` implements it, one sink a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from events.base import TopicPartition
from events.codec import LogRecord
from events.errors import StreamHubError, Unavailable
from projections.declaration import Change, Projection, Store


@dataclass(frozen=True, slots=True)
class Move:
    """A step of a projection over a partition: from one position to another, with its changes.

    A position is the offset of the next record that was not applied yet.
    """

    projection: Projection
    before: int
    after: int
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Step:
    """What one partition brings to a store: a move of each projection that reads it."""

    source: TopicPartition
    moves: Sequence[Move]


class StoreUnavailable(Unavailable):
    """The store cannot be reached, or is not ready; the same step can be tried again."""

    code = "STORE_UNAVAILABLE"


class PositionMoved(StreamHubError):
    """The store does not stand where the runner believed: another runner was there."""

    code = "POSITION_MOVED"


class Sink(Protocol):
    """A store that applies steps: changes and position together, each step once (R1).

    ``pace_s`` is how long steps may gather: the dearer one is, the longer.
    """

    store: Store
    pace_s: float

    async def prepare(self, projections: Sequence[Projection]) -> None:
        """Make the tables of these projections where they are missing."""

    async def positions(
        self, projections: Sequence[Projection]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        """Return the position of each projection in each partition that it ever touched.

        Raises:
            StoreUnavailable: nobody knows.
        """

    async def apply(self, steps: Sequence[Step]) -> None:
        """Apply steps over different partitions; each step wholly or not at all.

        Raises:
            StoreUnavailable: nobody knows which steps are applied; try them all again.
            PositionMoved: the store stands elsewhere; read the positions anew.
        """

    async def switch(self, projection: Projection) -> None:
        """Let readers see this build of the projection from now on, in one step.

        Raises:
            StoreUnavailable: nobody knows whether they do; it can be tried again.
        """

    async def is_seen(self, projection: Projection) -> bool:
        """Say whether readers see this build, wholly."""

    async def drop(self, projection: Projection) -> None:
        """Remove a build that readers do not see: its rows and its positions."""

    def digests(
        self, projection: Projection, only: Collection[str] | None = None
    ) -> AsyncIterator[Mapping[str, str]]:
        """Yield key -> digest of every row of a build, in pieces; equal rows have equal digests.

        ``only`` are keys that this gave before, of the rows that are wanted.

        Raises:
            StoreUnavailable: the store cannot be read.
        """

    async def close(self) -> None:
        """Close the connections that are the sink's own."""


class Builds(Protocol):
    """Which build of each projection a runner keeps up to date."""

    async def running(self, projections: Sequence[Projection]) -> Sequence[Projection]:
        """Return the builds to run: those that readers see, without what is paused.

        A projection of another version than the one that readers see is left out: it waits until
        it was built.
        """


class DeadLetters(Protocol):
    """Where records go that a reader cannot digest."""

    async def put(
        self, record: LogRecord, reader: str, error: BaseException, parked: Sequence[str] = ()
    ) -> None:
        """Keep the record with the reason; returns when it is safe.

        ``parked`` are the projections for which the record's key waits from now on.
        """


#: Keys that wait, with the offset from which on, by projection and partition.
Waiting = Mapping[tuple[str, TopicPartition], Mapping[str, int]]


class Parking(Protocol):
    """Which keys wait, by build of a projection: one memory for all processes, and after a crash.

    A key waits as long as one of its dead letters is open. A record is noted before its letter is
    written, and before the position moves over it; so whoever reads on knows of it.
    """

    async def waiting(self, builds: Sequence[Projection]) -> Waiting:
        """Return the keys of these builds that wait."""

    async def park(self, build: Projection, record: LogRecord) -> None:
        """Note that a record is put aside, and that what follows it of its key waits."""
