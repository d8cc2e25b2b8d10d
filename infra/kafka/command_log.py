"""The log as the command processor sees it, by confluent-kafka transactions.

One transactional producer a worker slot and offsets sent with the consumer's group metadata
(KIP-447): a zombie is refused, a restarted slot aborts what it left behind. ``flush`` comes
before the commit, because the commit itself polls for outstanding messages in steps of 100 ms.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from commands.ports import (
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
from schemas.catalogue import DOMAINS, domain_named

GROUP = "streamhub-commands"
#: Commands decided in one transaction at most.
BATCH_RECORDS = 500
POLL_TIMEOUT_S = 0.25
CATCH_UP_RECORDS = 5_000
_OPERATION_TIMEOUT_S = 30.0
_SESSION_TIMEOUT_MS = 10_000


#: A topic and the number of one of its partitions.
_Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class CommandLogSettings:
    """Where the log is, and which slot this worker fills (its transactional id)."""

    bootstrap: str
    slot: str


@dataclass(slots=True)
class _Sent:
    """Records that were handed to the client, and what it has heard of them."""

    offsets: list[int]
    failures: list[KafkaError] = field(default_factory=list)

    def note(self, index: int) -> Callable[[KafkaError | None, Message], None]:
        """Return what hears of the delivery of a record."""

        def heard(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self.failures.append(error)
            else:
                self.offsets[index] = message.offset() or 0

        return heard


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


def _producer_settings(settings: CommandLogSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap,
        "transactional.id": f"{GROUP}-{settings.slot}",
        "client.id": f"{GROUP}-{settings.slot}",
        "transaction.timeout.ms": _SESSION_TIMEOUT_MS,
        "linger.ms": 0,
        "retry.backoff.ms": 2,
        "compression.type": "lz4",
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


def _places(partition: DomainPartition) -> tuple[_Place, _Place]:
    """Return where the events and the outcomes of a partition stand."""
    domain = domain_named(partition.domain)
    return (domain.events, partition.partition), (domain.outcomes, partition.partition)


@dataclass(slots=True)
class _CatchingUp:
    """What is still to be read of some partitions whose ends are known."""

    ends: Mapping[_Place, int]
    unread: set[_Place]

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
        came: dict[_Place, list[LogRecord]] = defaultdict(list)
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


class ConfluentCommandLog:
    """Implements ``commands.ports.CommandLog``; every blocking call runs in a thread."""

    def __init__(self, settings: CommandLogSettings) -> None:
        self._settings = settings
        self._assigned: list[TopicPartition] = []
        self._revoked: list[TopicPartition] = []
        self._producer = Producer(_producer_settings(settings))
        self._consumer = Consumer(_consumer_settings(settings))
        self._admin = AdminClient({"bootstrap.servers": settings.bootstrap})

    async def start(self) -> None:
        """Fence whoever filled this slot before, and join the group; closed where that fails."""
        try:
            await _in_thread(self._start)
        except BaseException:
            # A group's client that is collected without having been closed waits for itself.
            await self.close()
            raise

    def _start(self) -> None:
        self._producer.init_transactions(_OPERATION_TIMEOUT_S)
        self._consumer.subscribe(
            [domain.commands for domain in DOMAINS],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._assigned.extend(partitions)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:  # noqa: ARG002
        self._revoked.extend(partitions)

    async def poll(self) -> Poll:
        messages = await _in_thread(self._poll)
        assigned, self._assigned = self._assigned, []
        revoked, self._revoked = self._revoked, []
        return Poll(
            [log_record(message) for message in messages],
            [_domain_partition(p) for p in assigned],
            [_domain_partition(p) for p in revoked],
        )

    def _poll(self) -> list[Message]:
        first = self._consumer.poll(POLL_TIMEOUT_S)
        if first is None:
            return []
        waiting = self._consumer.consume(BATCH_RECORDS - 1, timeout=0)
        return [message for message in (first, *waiting) if _is_record(message)]

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
        self, partitions: Sequence[DomainPartition], places: Sequence[_Place]
    ) -> dict[_Place, int]:
        """Return the ends of topics after the former owners' last transactions have ended.

        The group coordinator answers a committed-offset request of a read-committed consumer only
        when no transaction on those offsets is pending. One in which a former owner had sent its
        offsets has ended by then, and one in which it had not is refused for its generation:
        whatever it managed to commit lies below the uncommitted end that is read now.
        """
        self._consumer.committed(
            [TopicPartition(domain_named(p.domain).commands, p.partition) for p in partitions],
            timeout=_OPERATION_TIMEOUT_S,
        )
        futures = self._admin.list_offsets(
            {TopicPartition(*place): OffsetSpec.latest() for place in places},  # type: ignore[no-untyped-call]
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_OPERATION_TIMEOUT_S,
        )
        return {(tp.topic, tp.partition): future.result().offset for tp, future in futures.items()}

    async def append(
        self,
        events: Sequence[Outgoing],
        outcomes: Callable[[Sequence[int]], Sequence[Outgoing]],
        consumed: Mapping[DomainPartition, int],
    ) -> Mapping[tuple[str, int], int]:
        written: dict[tuple[str, int], int] = await _in_thread(
            self._append, events, outcomes, consumed
        )
        return written

    def _append(
        self,
        events: Sequence[Outgoing],
        outcomes: Callable[[Sequence[int]], Sequence[Outgoing]],
        consumed: Mapping[DomainPartition, int],
    ) -> dict[tuple[str, int], int]:
        offsets = [
            TopicPartition(domain_named(p.domain).commands, p.partition, offset)
            for p, offset in consumed.items()
        ]
        self._producer.begin_transaction()
        sent = self._send(events)
        # The events are on their way while the broker takes the offsets.
        self._producer.send_offsets_to_transaction(
            offsets, self._consumer.consumer_group_metadata(), _OPERATION_TIMEOUT_S
        )
        event_offsets = self._delivered(sent)
        following = outcomes(event_offsets)
        following_offsets = self._delivered(self._send(following))
        self._producer.commit_transaction(_OPERATION_TIMEOUT_S)
        return {
            (record.topic, record.partition): offset
            for record, offset in zip(
                (*events, *following), (*event_offsets, *following_offsets), strict=True
            )
        }

    def _send(self, records: Sequence[Outgoing]) -> _Sent:
        """Hand the records to the client, which sends them in the background."""
        sent = _Sent([-1] * len(records))
        for index, record in enumerate(records):
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                partition=record.partition,
                headers=list(record.headers),
                on_delivery=sent.note(index),
            )
        return sent

    def _delivered(self, sent: _Sent) -> list[int]:
        """Wait for the offsets of records that were sent."""
        unsent = self._producer.flush(_OPERATION_TIMEOUT_S)
        if sent.failures or unsent:
            raise TransactionLostError(f"records were not delivered: {sent.failures or unsent}")
        return sent.offsets

    async def close(self) -> None:
        await asyncio.to_thread(self._consumer.close)


async def _in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return await asyncio.to_thread(call, *arguments)
    except KafkaException as error:
        raise TransactionLostError(f"Kafka: {error}") from error


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
