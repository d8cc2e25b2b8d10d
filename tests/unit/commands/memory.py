"""The world of the command processor in memory, as strict and as treacherous as the real one.

Transactions are all or nothing, aborted ones leave holes and markers in the offsets, offsets of
consumed commands move in the same step as the events, and a crash can hit before or after a
transaction was decided.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from enum import StrEnum

from commands.aggregate import UniqueValue
from commands.ports import (
    CachePosition,
    CaughtUp,
    DomainPartition,
    Outgoing,
    Poll,
    StaleCacheError,
    StoredState,
    TransactionLostError,
)
from events.base import TopicPartition
from events.codec import Headers, LogRecord

PARTITIONS = 2


class Crash(StrEnum):
    """When an append breaks down: before anything was visible, or after all of it was."""

    ABORTED = "aborted"
    COMMITTED = "committed"


class MemoryBroker:
    """Topics with their partitions; None stands where an offset holds no record."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[LogRecord | None]] = defaultdict(list)
        self.committed: dict[DomainPartition, int] = defaultdict(int)
        self.crashes: list[Crash] = []

    def send(self, topic: str, key: str, value: bytes, headers: Headers) -> LogRecord:
        """Append outside a transaction, to the partition of the key."""
        return self.append(Outgoing(topic, partition_of(key), key, value, headers))

    def append(self, record: Outgoing) -> LogRecord:
        source = TopicPartition(record.topic, record.partition)
        log = self.logs[source]
        made = LogRecord(source, len(log), record.key, record.value, dict(record.headers), 0)
        log.append(made)
        return made

    def hole(self, topic: str, partition: int) -> None:
        """Take an offset for a transaction marker or an aborted record."""
        self.logs[TopicPartition(topic, partition)].append(None)

    def forget_first(self, topic: str, key: str) -> None:
        """Take the first record of the key's partition away, as retention does."""
        self.logs[TopicPartition(topic, partition_of(key))][0] = None

    def records(self, topic: str) -> list[LogRecord]:
        """Return what readers of committed records see of a topic, partition by partition."""
        return [
            record
            for source in sorted(self.logs)
            if source.topic == topic
            for record in self.logs[source]
            if record is not None
        ]

    def partition(self, topic: str, partition: int, start: int = 0) -> list[LogRecord]:
        """Return the records of a partition from an offset on."""
        log = self.logs[TopicPartition(topic, partition)][start:]
        return [record for record in log if record is not None]

    def end(self, topic: str, partition: int) -> int:
        """Return the offset behind a partition's last record or marker."""
        return len(self.logs[TopicPartition(topic, partition)])


def partition_of(key: str) -> int:
    """Return the partition of a key."""
    return zlib.crc32(key.encode()) % PARTITIONS


#: Turns of the loop that an append takes: enough for another batch to be decided meanwhile.
APPEND_TURNS = 50


class MemoryCommandLog:
    """Implements ``commands.ports.CommandLog`` for one owner of every partition of some domains.

    ``idle`` is called when no command is left.
    """

    def __init__(self, broker: MemoryBroker, domains: Collection[str], batch: int = 100) -> None:
        self.idle: Callable[[], None] = lambda: None
        self.closed = False
        #: What was called, in order.
        self.journal: list[str] = []
        self._broker = broker
        self._batch = batch
        self._unassigned = [DomainPartition(d, p) for d in domains for p in range(PARTITIONS)]
        self._positions: dict[DomainPartition, int] = {}
        self._revoked: list[DomainPartition] = []

    def revoke(self, partition: DomainPartition) -> None:
        """Let the next turn tell that another worker owns the partition."""
        del self._positions[partition]
        self._revoked.append(partition)

    async def poll(self) -> Poll:
        await asyncio.sleep(0)
        self.journal.append("poll")
        assigned, self._unassigned = self._unassigned, []
        revoked, self._revoked = self._revoked, []
        records = [] if assigned else self._next_commands()
        if not assigned and not records:
            self.idle()
        return Poll(records, assigned, revoked, more=len(records) == self._batch)

    def _next_commands(self) -> list[LogRecord]:
        found: list[LogRecord] = []
        for partition, position in self._positions.items():
            topic = f"commands.{partition.domain}"
            waiting = self._broker.partition(topic, partition.partition, position)
            taken = waiting[: self._batch - len(found)]
            if taken:
                self._positions[partition] = taken[-1].offset + 1
            found.extend(taken)
        return found

    async def read_to_end(
        self, positions: Mapping[DomainPartition, CachePosition]
    ) -> AsyncIterator[CaughtUp]:
        for partition, position in positions.items():
            events = self._broker.partition(
                f"events.{partition.domain}", partition.partition, position.events_next
            )
            outcomes = self._broker.partition(
                f"outcomes.{partition.domain}", partition.partition, position.outcomes_next
            )
            middle = len(events) // 2
            await asyncio.sleep(0)
            yield CaughtUp(partition, events[:middle], (), None)
            ends = tuple(
                self._broker.end(f"{kind}.{partition.domain}", partition.partition)
                for kind in ("events", "outcomes")
            )
            await asyncio.sleep(0)
            yield CaughtUp(partition, events[middle:], outcomes, (ends[0], ends[1]))

    async def open(self, partition: DomainPartition) -> None:
        self._positions[partition] = self._broker.committed[partition]

    def next_offset(self, partition: DomainPartition) -> int:
        return self._broker.end(f"events.{partition.domain}", partition.partition)

    async def append(
        self, records: Sequence[Outgoing], consumed: Mapping[DomainPartition, int]
    ) -> Mapping[tuple[str, int], int]:
        self.journal.append("append begins")
        for _ in range(APPEND_TURNS):
            await asyncio.sleep(0)
        self.journal.append("append ends")
        crash = self._broker.crashes.pop(0) if self._broker.crashes else None
        if crash is Crash.ABORTED:
            self._abort(records)
        made = [self._broker.append(record) for record in records]
        last = {(r.source.topic, r.source.partition): r.offset for r in made}
        for topic, partition in last:
            self._broker.hole(topic, partition)
        self._broker.committed.update(consumed)
        if crash is Crash.COMMITTED:
            raise TransactionLostError("the connection broke after the commit")
        return last

    def _abort(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            self._broker.hole(record.topic, record.partition)
        raise TransactionLostError("the transaction was aborted")

    async def close(self) -> None:
        self.closed = True


class MemoryStateStore:
    """Implements ``commands.ports.StateStore``."""

    def __init__(self) -> None:
        self.positions: dict[DomainPartition, CachePosition] = {}
        self.states: dict[str, StoredState] = {}
        self.kept: dict[str, bytes] = {}

    async def position(self, partition: DomainPartition) -> CachePosition:
        return self.positions.get(partition, CachePosition())

    async def load(
        self,
        partition: DomainPartition,  # noqa: ARG002
        streams: Collection[str],
    ) -> Mapping[str, StoredState]:
        return {stream: self.states[stream] for stream in streams if stream in self.states}

    async def outcomes(
        self,
        partition: DomainPartition,  # noqa: ARG002
        command_ids: Collection[str],
    ) -> Mapping[str, bytes]:
        return {each: self.kept[each] for each in command_ids if each in self.kept}

    async def save(
        self,
        partition: DomainPartition,
        before: CachePosition,
        after: CachePosition,
        states: Mapping[str, StoredState],
        outcomes: Mapping[str, bytes],
    ) -> None:
        await asyncio.sleep(0)
        now = await self.position(partition)
        if (now.events_next, now.outcomes_next) != (before.events_next, before.outcomes_next):
            raise StaleCacheError(f"{partition} is at {now}, not at {before}")
        self.positions[partition] = after
        self.states.update(states)
        self.kept = {**outcomes, **self.kept}

    def lose(self) -> None:
        """Forget everything, as a cache may."""
        self.positions.clear()
        self.states.clear()
        self.kept.clear()


class MemoryClaims:
    """Implements ``commands.ports.Claims``."""

    def __init__(self) -> None:
        self.holders: dict[UniqueValue, str] = {}

    async def take(self, command_id: str, values: Sequence[UniqueValue]) -> Sequence[str]:
        taken = [v.kind for v in values if self.holders.get(v, command_id) != command_id]
        if not taken:
            self.holders.update(dict.fromkeys(values, command_id))
        return taken
