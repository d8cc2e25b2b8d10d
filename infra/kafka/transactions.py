"""Kafka transactions in two round trips, by version 2 of their protocol (KIP-890).

A partition joins a transaction by being written to, and so does the group whose offsets are
committed: nobody is asked first. Every transaction has an epoch of its own, so that nothing that
is late can land in the next one. The protocol is small as long as whoever meets an error that does
not pass starts anew, as the command processor does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

import lz4.frame  # type: ignore[import-untyped]
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.record._crecords import default_records
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from commands.ports import Outgoing, TransactionLostError
from infra.kafka.wire import (
    Member,
    Producer,
    end_txn,
    init_producer_id,
    produce,
    txn_offset_commit,
)

T = TypeVar("T")
#: A topic and the number of one of its partitions.
Place = tuple[str, int]

_OPERATION_TIMEOUT_S = 30.0
_REQUEST_TIMEOUT_MS = 10_000
_RETRY_S = 0.002
_LOOK_UP_S = 0.1
#: A new cluster, or one that lost a broker, has no coordinators for a moment.
_MOVING = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
#: NETWORK_EXCEPTION (the coordinator was asked twice at once), COORDINATOR_LOAD_IN_PROGRESS,
#: NOT_ENOUGH_REPLICAS with and without AFTER_APPEND, CONCURRENT_TRANSACTIONS (the markers of the
#: transaction before are still being written).
_PASSING = frozenset({13, 14, 19, 20, 51})
_MAGIC = 2
_LZ4 = 3
#: Of one partition in one request, before compression; brokers take 1 MiB (message.max.bytes).
_BATCH_BYTES = 900_000


class TransactionalWriter:
    """One transactional id; a newer writer of the same id has this one refused."""

    def __init__(self, bootstrap: str, transactional_id: str, timeout_ms: int) -> None:
        self._id = transactional_id
        self._timeout_ms = timeout_ms
        self._producer = Producer(transactional_id)
        self._client = AIOKafkaClient(
            bootstrap_servers=bootstrap.split(","),
            client_id=transactional_id,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        self._transaction_node = self._group_node = -1

    async def start(self, group: str, topics: Collection[str]) -> None:
        """Refuse whoever wrote under this id before, and end what they left open.

        Raises:
            TransactionLostError: Kafka does not answer, or knows no such transactions.
        """
        await _bounded(self._start(group, topics))

    async def _start(self, group: str, topics: Collection[str]) -> None:
        await self._client.bootstrap()
        await self._client.set_topics(topics)
        while True:
            try:
                self._group_node = await self._coordinator(CoordinationType.GROUP, group)
                self._transaction_node = await self._coordinator(
                    CoordinationType.TRANSACTION, self._id
                )
                await _until_passed(self._initialize)
            except _MOVING:
                await asyncio.sleep(_LOOK_UP_S)
            else:
                return

    async def _coordinator(self, kind: CoordinationType, key: str) -> int:
        return int(await self._client.coordinator_lookup(kind, key))

    async def _initialize(self) -> Collection[int]:
        request = init_producer_id(self._id, self._timeout_ms)
        answer = await self._client.send(self._transaction_node, request)
        self._producer = Producer(self._id, answer.producer_id, answer.producer_epoch)
        return [answer.error_code]

    async def write(
        self,
        records: Sequence[Outgoing],
        starts: Mapping[Place, int],
        member: Member,
        consumed: Sequence[tuple[str, int, int]],
        time_ms: int,
    ) -> Mapping[Place, int]:
        """Commit records and a group's offsets together; return the last offset of each place.

        ``starts`` are the offsets that the first records of some places must get; ``consumed`` are
        topic, partition and offset; ``time_ms`` is the time of the records, which Kafka refuses
        where it is an hour ahead of its own.

        Raises:
            TransactionLostError: it is unknown whether it was committed, or it was not. A writer
                that is started anew ends it one way or the other.
        """
        return await _bounded(self._write(records, starts, member, consumed, time_ms))

    async def _write(
        self,
        records: Sequence[Outgoing],
        starts: Mapping[Place, int],
        member: Member,
        consumed: Sequence[tuple[str, int, int]],
        time_ms: int,
    ) -> Mapping[Place, int]:
        ends: dict[Place, int] = {}
        first, *more = _rounds(records, self._producer, time_ms) or [{}]
        # To the same broker they go over one connection, one right behind the other.
        await asyncio.gather(
            self._produce(first, starts, ends), self._commit_offsets(member, consumed)
        )
        for batches in more:
            await self._produce(batches, {}, ends)
        await _until_passed(self._end)
        return ends

    async def _produce(
        self,
        batches: Mapping[Place, tuple[int, bytes]],
        starts: Mapping[Place, int],
        ends: dict[Place, int],
    ) -> None:
        """Append a batch to each place and note the last offsets."""
        by_leader: dict[int, dict[Place, bytes]] = defaultdict(dict)
        for place, (_, data) in batches.items():
            by_leader[self._leader(place)][place] = data
        pieces = (self._produce_at(leader, left, {}) for leader, left in by_leader.items())
        for found in await asyncio.gather(*pieces):
            for place, offset in found.items():
                if offset != starts.get(place, offset):
                    raise TransactionLostError(
                        f"{place[0]}/{place[1]}: a record got offset {offset}, not {starts[place]}"
                    )
                ends[place] = offset + batches[place][0] - 1

    def _leader(self, place: Place) -> int:
        leader = self._client.cluster.leader_for_partition(TopicPartition(*place))
        if leader is None or leader < 0:
            raise TransactionLostError(f"{place[0]}/{place[1]} has no leader")
        return int(leader)

    async def _produce_at(
        self, leader: int, left: dict[Place, bytes], taken: dict[Place, int]
    ) -> dict[Place, int]:
        """Have one broker take batches, again where it could not; return their first offsets."""

        async def send() -> Collection[int]:
            request = produce(self._id, _REQUEST_TIMEOUT_MS, left)
            answer = await self._client.send(leader, request)
            codes = set()
            for topic, partitions, _ in answer.topics:
                for number, code, offset, *_ in partitions:
                    codes.add(code)
                    if not code:
                        taken[topic, number] = offset
                        del left[topic, number]
            return codes

        await _until_passed(send)
        return taken

    async def _commit_offsets(
        self, member: Member, consumed: Sequence[tuple[str, int, int]]
    ) -> None:
        request = txn_offset_commit(self._producer, member, consumed)

        async def send() -> Collection[int]:
            answer = await self._client.send(self._group_node, request)
            return {code for _, partitions, _ in answer.topics for _, code, _ in partitions}

        await _until_passed(send)

    async def _end(self) -> Collection[int]:
        answer = await self._client.send(self._transaction_node, end_txn(self._producer))
        if not answer.error_code:
            self._producer = Producer(self._id, answer.producer_id, answer.producer_epoch)
        return [answer.error_code]

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


async def _bounded(work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(_OPERATION_TIMEOUT_S):
            return await work
    except NotImplementedError as error:
        raise TransactionLostError(f"Kafka 4.0 or later is needed: {error}") from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise TransactionLostError(f"Kafka: {type(error).__name__}: {error}") from error


async def _until_passed(send: Callable[[], Awaitable[Collection[int]]]) -> None:
    """Call ``send`` until no code of its answer says that something stands in the way."""
    while codes := {code for code in await send() if code}:
        for code in codes - _PASSING:
            raise for_code(code)
        await asyncio.sleep(_RETRY_S)


def _rounds(
    records: Sequence[Outgoing], producer: Producer, time_ms: int
) -> list[dict[Place, tuple[int, bytes]]]:
    """Return how many records and which bytes go to each place, one batch a place and round."""
    sorted_out: dict[Place, list[Outgoing]] = defaultdict(list)
    for record in records:
        sorted_out[record.topic, record.partition].append(record)
    rounds: list[dict[Place, tuple[int, bytes]]] = []
    for place, those in sorted_out.items():
        for number, batch in enumerate(_batches(those, producer, time_ms)):
            if number == len(rounds):
                rounds.append({})
            rounds[number][place] = batch
    return rounds


def _batches(
    records: Sequence[Outgoing], producer: Producer, time_ms: int
) -> list[tuple[int, bytes]]:
    """Return records of one place as batches; a transaction's sequence numbers begin at 0."""
    batches = []
    begins = 0
    while begins < len(records):
        builder = DefaultRecordBatchBuilder(
            magic=_MAGIC,
            compression_type=_LZ4,
            is_transactional=1,
            producer_id=producer.producer_id,
            producer_epoch=producer.epoch,
            base_sequence=begins,
            batch_size=_BATCH_BYTES,
        )
        count = 0
        for record in records[begins:]:
            if not builder.append(
                count, time_ms, record.key.encode(), record.value, record.headers
            ):
                break
            count += 1
        batches.append((count, bytes(builder.build())))
        begins += count
    return batches


def _compressed(data: bytes) -> bytes:
    """Compress as Kafka wants it (KIP-57); aiokafka tries harder, and takes eight times as long."""
    compressed: bytes = lz4.frame.compress(data, block_linked=False)
    return compressed


default_records.lz4_encode = _compressed
