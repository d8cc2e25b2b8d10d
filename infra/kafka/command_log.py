"""The log as the command processor sees it: commands by confluent-kafka, appends by transactions.

One transactional id a worker slot and offsets sent with the consumer's generation (KIP-447): a
zombie is refused, a restarted slot aborts what it left behind.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from commands.ports import (
    MARKER_OFFSETS,
    CachePosition,
    CaughtUp,
    DomainPartition,
    Outgoing,
    Poll,
    StateAhead,
    TransactionLostError,
)
from events import base
from events.codec import LogRecord, headers_of
from infra.kafka.consumption import Bounds, Consumption
from infra.kafka.transactions import Place, TransactionalWriter
from infra.kafka.wire import Member
from schemas.catalogue import DEAD_LETTERS, DOMAINS, REPLIES, domain_named

log = structlog.get_logger(__name__)

GROUP = "streamhub-commands"
#: Commands decided in one transaction at most.
BATCH_RECORDS = 500
POLL_TIMEOUT_S = 0.25
#: What comes within this time of several commands is polled together. A transaction costs Kafka,
#: and all who read its records, the same for one command as for many. One that comes alone does
#: not wait.
PACE_S = 0.012
CATCH_UP_RECORDS = 5_000
#: While nothing comes, the log is asked this often whether something should have come.
_LOOK_S, _LOOK_TIMEOUT_S = 5.0, 2.0
_OPERATION_TIMEOUT_S = 30.0
_CLOSE_TIMEOUT_S = 10.0
_SESSION_TIMEOUT_MS = 10_000
#: What is written to.
_TOPICS = (
    *(topic for domain in DOMAINS for topic in (domain.events, domain.outcomes)),
    REPLIES,
    DEAD_LETTERS,
)
#: How librdkafka begins a consumer's group metadata.
_MEMBER_MAGIC = b"CGMDv2:"


@dataclass(frozen=True, slots=True)
class CommandLogSettings:
    """Where the log is, and which slot this worker fills (its transactional id)."""

    bootstrap: str
    slot: str


def _consumer_settings(settings: CommandLogSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap,
        "group.id": GROUP,
        "group.instance.id": f"{GROUP}-{settings.slot}",
        "client.id": f"{GROUP}-{settings.slot}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": _SESSION_TIMEOUT_MS,
        "fetch.wait.max.ms": 500,
        "fetch.queue.backoff.ms": 5,
        "retry.backoff.ms": 2,
        "reconnect.backoff.max.ms": 1_000,
    }


def _catch_up_settings(settings: CommandLogSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap,
        "group.id": f"{GROUP}-catch-up",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 10,
        "fetch.queue.backoff.ms": 5,
    }


def _places(partition: DomainPartition) -> tuple[Place, Place]:
    """Return where the events and the outcomes of a partition stand."""
    domain = domain_named(partition.domain)
    return (domain.events, partition.partition), (domain.outcomes, partition.partition)


@dataclass(slots=True)
class _CatchingUp:
    """What is still to be read of some partitions whose ends are known."""

    ends: Mapping[Place, int]
    unread: set[Place]

    def is_done(self, partition: DomainPartition) -> bool:
        return not self.unread & {*_places(partition)}

    def piece(
        self,
        partition: DomainPartition,
        events: Sequence[LogRecord],
        outcomes: Sequence[LogRecord],
    ) -> CaughtUp:
        events_end, outcomes_end = (self.ends[place] for place in _places(partition))
        ends = (events_end, outcomes_end) if self.is_done(partition) else None
        return CaughtUp(partition, events, outcomes, ends)

    def sort(self, messages: Sequence[Message]) -> list[CaughtUp]:
        """Return what came, a piece a partition.

        Raises:
            TransactionLostError: the log cannot be read.
        """
        came: dict[Place, list[LogRecord]] = defaultdict(list)
        for message in messages:
            place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                came[place].append(log_record(message))
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                raise TransactionLostError(f"the log cannot be read: {error}")
            elif (message.offset() or 0) >= self.ends[place]:
                came.setdefault(place, [])
                self.unread.discard(place)
        partitions = {DomainPartition(topic.split(".", 1)[1], number) for topic, number in came}
        return [
            self.piece(partition, *(came[place] for place in _places(partition)))
            for partition in sorted(partitions)
        ]


class KafkaCommandLog:
    """Implements ``commands.ports.CommandLog``; every call that may block runs in a thread."""

    def __init__(self, settings: CommandLogSettings) -> None:
        self._settings = settings
        self._assigned: list[TopicPartition] = []
        self._revoked: list[TopicPartition] = []
        self._is_lost = False
        self._writer = TransactionalWriter(
            settings.bootstrap, f"{GROUP}-{settings.slot}", _SESSION_TIMEOUT_MS
        )
        #: Where the next event and the next outcome of each assigned partition will stand.
        #: If a zombie wrote something before it was refused, the writer notices.
        self._ends: dict[Place, int] = {}
        #: When the latest command was appended, by the log. Events get that time: the clock of this
        #: machine may be wrong by hours, and Kafka would refuse them for good.
        self._time_ms = 0
        #: When to poll again, by the clock of the loop.
        self._due = 0.0
        self._consumption = Consumption()
        self._look_at = 0.0
        self._consumer = Consumer(_consumer_settings(settings))
        self._bounds = Bounds(settings.bootstrap)

    async def start(self) -> None:
        """Fence whoever filled this slot before, and join the group; closed where that fails."""
        try:
            await self._writer.start(GROUP, _TOPICS)
            await _in_thread(self._join)
        except BaseException:
            # A group's client that is collected without having been closed waits for itself.
            await self.close()
            raise

    def _join(self) -> None:
        self._consumer.subscribe(
            [domain.commands for domain in DOMAINS],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._assigned.extend(partitions)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:  # noqa: ARG002
        self._revoked.extend(partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:  # noqa: ARG002
        self._is_lost = True

    async def poll(self) -> Poll:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._due - loop.time())
        # Under load commands have come meanwhile, and no thread is needed to wait for the first.
        messages = self._take(BATCH_RECORDS) or await _in_thread(self._wait)
        if self._is_lost:
            # Behind a restored log this client may never be given partitions again.
            raise TransactionLostError("the group took the partitions away")
        assigned, self._assigned = self._assigned, []
        revoked, self._revoked = self._revoked, []
        gone = {(p.topic, p.partition) for p in revoked}
        self._consumption.forget(gone)
        came = [log_record(message) for message in messages if _is_record(message)]
        records = [record for record in came if record.source not in gone]
        self._consumption.note({record.source: record.offset + 1 for record in records})
        if not records and loop.time() >= self._look_at:
            await _in_thread(self._look)
            self._look_at = loop.time() + _LOOK_S
        self._time_ms = max((self._time_ms, *(record.timestamp_ms for record in records)))
        if 1 < len(records) < BATCH_RECORDS:
            self._due = loop.time() + PACE_S
        return Poll(
            records,
            [_domain_partition(p) for p in assigned],
            [_domain_partition(p) for p in revoked],
            more=len(records) == BATCH_RECORDS,
        )

    def _look(self) -> None:
        try:
            ends = self._bounds.ends(self._consumption.places(), _LOOK_TIMEOUT_S)
        except KafkaException as error:
            # Where nothing can be asked, nothing can be read either.
            complaint = self._consumption.unanswered(time.monotonic(), error)
        else:
            complaint = self._consumption.complaint(ends)
        if complaint:
            raise TransactionLostError(f"the consumer of commands gets nothing: {complaint}")

    def _take(self, limit: int) -> list[Message]:
        try:
            return self._consumer.consume(limit, timeout=0)
        except KafkaException as error:
            raise TransactionLostError(f"Kafka: {error}") from error

    def _wait(self) -> list[Message]:
        first = self._consumer.poll(POLL_TIMEOUT_S)
        return [] if first is None else [first, *self._take(BATCH_RECORDS - 1)]

    async def open(self, partition: DomainPartition) -> None:
        topic = domain_named(partition.domain).commands
        await _in_thread(self._consumer.resume, [TopicPartition(topic, partition.partition)])

    async def read_to_end(
        self, positions: Mapping[DomainPartition, CachePosition]
    ) -> AsyncIterator[CaughtUp]:
        starts = {
            place: start
            for partition, position in positions.items()
            for place, start in zip(
                _places(partition), (position.events_next, position.outcomes_next), strict=True
            )
        }
        ends = await _in_thread(self._stable_ends, [*positions], [*starts])
        self._ends.update(ends)
        for place, start in starts.items():
            if start > ends[place]:
                raise StateAhead(
                    f"the state cache is at {start} of {place[0]}/{place[1]}, the log ends at "
                    f"{ends[place]}: empty state_positions, aggregate_states and "
                    "command_outcomes, and it is made anew from the log"
                )
        catching_up = _CatchingUp(ends, {p for p, start in starts.items() if start < ends[p]})
        for partition in positions:
            if catching_up.is_done(partition):
                yield catching_up.piece(partition, (), ())
        unread = catching_up.unread
        if not unread:
            return
        consumer = Consumer(_catch_up_settings(self._settings))
        try:
            await _in_thread(
                consumer.assign, [TopicPartition(*place, starts[place]) for place in unread]
            )
            while unread:
                messages = await _in_thread(consumer.consume, CATCH_UP_RECORDS, 0.05)
                for piece in catching_up.sort(messages):
                    yield piece
        finally:
            await _in_thread(consumer.close)

    def _stable_ends(
        self, partitions: Sequence[DomainPartition], places: Sequence[Place]
    ) -> dict[Place, int]:
        """Return the ends of topics after the former owners' last transactions have ended.

        The group coordinator answers a committed-offset request of a read-committed consumer only
        when no transaction on those offsets is pending. One in which a former owner had sent its
        offsets has ended by then, and one in which it had not is refused for its generation:
        whatever it managed to commit lies below the uncommitted end that is read now.
        """
        committed = self._consumer.committed(
            [TopicPartition(domain_named(p.domain).commands, p.partition) for p in partitions],
            timeout=_OPERATION_TIMEOUT_S,
        )
        known = {(tp.topic, tp.partition): tp.offset for tp in committed}
        new = [place for place, offset in known.items() if offset < 0]
        self._consumption.note(known | self._bounds.beginnings(new, _OPERATION_TIMEOUT_S))
        return self._bounds.ends(places, _OPERATION_TIMEOUT_S)

    def next_offset(self, partition: DomainPartition) -> int:
        events, _ = _places(partition)
        return self._ends[events]

    def append(
        self, records: Sequence[Outgoing], consumed: Mapping[DomainPartition, int]
    ) -> Awaitable[Mapping[Place, int]]:
        write = self._writer.write(
            records,
            self._ends,
            self._member(),
            [(domain_named(p.domain).commands, p.partition, at) for p, at in consumed.items()],
            self._time_ms,
        )
        return self._written(write)

    async def _written(self, write: Awaitable[Mapping[Place, int]]) -> Mapping[Place, int]:
        ends = await write
        for place in self._ends.keys() & ends.keys():
            self._ends[place] = ends[place] + 1 + MARKER_OFFSETS
        return ends

    def _member(self) -> Member:
        return member_of(self._consumer.consumer_group_metadata())

    async def close(self) -> None:
        # In a rebalance librdkafka's consumer can wait for ever. The next one of this slot takes
        # its place in the group, and it is refused from then on.
        closing = asyncio.gather(self._writer.close(), asyncio.to_thread(self._consumer.close))
        closed, _ = await asyncio.wait([closing], timeout=_CLOSE_TIMEOUT_S)
        if closed:
            closing.result()
        else:
            log.error("consumer_does_not_close", seconds=_CLOSE_TIMEOUT_S)


async def _in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return await asyncio.to_thread(call, *arguments)
    except KafkaException as error:
        raise TransactionLostError(f"Kafka: {error}") from error


def member_of(metadata: Any) -> Member:
    """Return the member in a consumer's group metadata, which it hands out as librdkafka keeps it.

    Behind the magic: the generation in the machine's byte order, group and member id, each with a
    NUL behind it, a byte that is not 0 where there is no instance id, and the instance id.

    Raises:
        ValueError: another release of librdkafka keeps it otherwise.
    """
    data = bytes(metadata)
    if not data.startswith(_MEMBER_MAGIC):
        raise ValueError("the group metadata is not as it was in librdkafka 2")
    at = len(_MEMBER_MAGIC)
    (generation,) = struct.unpack_from("=i", data, at)
    group, member_id, rest = data[at + 4 :].split(b"\0", 2)
    instance = None if rest[:1] != b"\0" else rest[1:].partition(b"\0")[0].decode()
    return Member(group.decode(), generation, member_id.decode(), instance)


def _is_record(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise TransactionLostError(f"Kafka: {error}")
    return False


def log_record(message: Message) -> LogRecord:
    """Return a client message as a record of the log."""
    key, headers = message.key(), message.headers()
    return LogRecord(
        source=base.TopicPartition(message.topic() or "", message.partition() or 0),
        offset=message.offset() or 0,
        key=key.decode("utf-8", "replace") if isinstance(key, bytes) else "",
        value=message.value() or b"",
        headers=headers_of(headers),  # type: ignore[arg-type]
        timestamp_ms=message.timestamp()[1],
    )


def _domain_partition(partition: TopicPartition) -> DomainPartition:
    return DomainPartition(partition.topic.split(".", 1)[1], partition.partition)
