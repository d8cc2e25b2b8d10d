"""What the write path needs of the world; ``infra`` implements it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from commands.aggregate import UniqueValue
from commands.envelope import CommandEnvelope
from events.codec import Headers, LogRecord
from events.errors import StreamHubError, Unavailable
from events.outcomes import CommandDecided

#: A transaction's marker takes an offset behind its records in each partition that it wrote to.
MARKER_OFFSETS = 1


class DomainPartition(NamedTuple):
    """The unit of ownership: partition ``partition`` of a domain's topics."""

    domain: str
    partition: int


@dataclass(frozen=True, slots=True)
class CachePosition:
    """How far a state cache has folded: the next offsets to read, and the last event's offset.

    ``last_event`` is -1 before the first event; it is not ``events_next - 1``, because
    transaction markers take offsets too.
    """

    events_next: int = 0
    outcomes_next: int = 0
    last_event: int = -1


@dataclass(frozen=True, slots=True)
class StoredState:
    """A stream's state as the cache keeps it: version and JSON."""

    version: int
    body: bytes


class StaleCacheError(Exception):
    """Another owner has written the cache in between; forget the partition and catch up anew."""


class StateAhead(StreamHubError):
    """The cache holds what is not in the log; deciding on it would go on from what never was."""

    code = "STATE_AHEAD"


class TransactionLostError(Unavailable):
    """The transaction did not happen; whoever wanted it starts anew from the log."""

    code = "TRANSACTION_LOST"


class StateStore(Protocol):
    """A cache of folds, outside the log; it may be lost or behind at any time."""

    async def position(self, partition: DomainPartition) -> CachePosition:
        """Return how far the cache has folded a partition."""

    async def load(
        self, partition: DomainPartition, streams: Collection[str]
    ) -> Mapping[str, StoredState]:
        """Return the states of those streams that the cache knows."""

    async def outcomes(
        self, partition: DomainPartition, command_ids: Collection[str]
    ) -> Mapping[str, bytes]:
        """Return the outcomes (JSON) of those repeatable commands that were decided."""

    async def save(
        self,
        partition: DomainPartition,
        before: CachePosition,
        after: CachePosition,
        states: Mapping[str, StoredState],
        outcomes: Mapping[str, bytes],
    ) -> None:
        """Move the cache from ``before`` to ``after`` with the states that changed, all at once.

        Raises:
            StaleCacheError: the cache does not stand at ``before``.
        """


@dataclass(frozen=True, slots=True)
class Poll:
    """What one turn of the log brought; partitions assigned now must be opened before reading.

    ``more`` says that there were as many commands as one turn brings at most.
    """

    records: Sequence[LogRecord]
    assigned: Sequence[DomainPartition]
    revoked: Sequence[DomainPartition]
    more: bool


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A piece of what a partition holds behind the position of its cache.

    ``ends`` are the next offsets of events and outcomes behind the whole, and stand in the last
    piece of the partition only.
    """

    partition: DomainPartition
    events: Sequence[LogRecord]
    outcomes: Sequence[LogRecord]
    ends: tuple[int, int] | None


class Outgoing(NamedTuple):
    """A record to append to a partition of a topic."""

    topic: str
    partition: int
    key: str
    value: bytes
    headers: Headers


class CommandLog(Protocol):
    """The log as the one writer of a partition sees it."""

    async def poll(self) -> Poll:
        """Return commands that wait, in the order of each partition; wait a little for the first.

        None are of a partition that is not open, or that is revoked with them.

        Raises:
            TransactionLostError: the connection is beyond repair.
        """

    def read_to_end(
        self, positions: Mapping[DomainPartition, CachePosition]
    ) -> AsyncIterator[CaughtUp]:
        """Yield what partitions hold from their positions to their ends, side by side.

        An end is fixed after every transaction of the former owner has ended, so that nothing
        can appear behind it but what the caller appends.

        Raises:
            StateAhead: a partition ends before its position.
        """

    async def open(self, partition: DomainPartition) -> None:
        """Let ``poll`` return the commands of a partition whose state is caught up."""

    def next_offset(self, partition: DomainPartition) -> int:
        """Return the offset that the next event of an open partition gets: nobody else writes."""

    def append(
        self, records: Sequence[Outgoing], consumed: Mapping[DomainPartition, int]
    ) -> Awaitable[Mapping[tuple[str, int], int]]:
        """Append records in one transaction with the fact that commands were consumed.

        ``consumed`` is the next command's offset of each partition. Returns the last offset
        written in each (topic, partition). One transaction at a time. ``poll`` may be called
        meanwhile, though not between the decisions and this call, which notes whose they are: a
        partition that is given away by then is refused.

        Raises:
            TransactionLostError: nothing was appended, or nobody knows; events would have got
                other offsets than was said.
        """

    async def close(self) -> None:
        """Leave the group."""


class Claims(Protocol):
    """Values that one aggregate at most may hold; a claim belongs to a command id."""

    async def take(self, command_id: str, values: Sequence[UniqueValue]) -> Sequence[str]:
        """Claim all values or none; return the kinds that another command holds already."""


class CommandBus(Protocol):
    """How an endpoint has a command decided."""

    async def send(self, envelope: CommandEnvelope) -> CommandDecided:
        """Append the command and wait for its outcome.

        Raises:
            Unavailable: the log is away; the command was not appended.
            OutcomePendingError: it was appended, and is not decided yet.
        """


class OutcomePendingError(Exception):
    """The command is in the log and will be decided; nobody waited long enough to see how."""

    def __init__(self, command_id: str) -> None:
        super().__init__(command_id)
        self.command_id = command_id
