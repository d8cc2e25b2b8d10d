"""Transactions by the second version of Kafka's protocol, on a real broker."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from confluent_kafka import Consumer, IsolationLevel, Message
from confluent_kafka import TopicPartition as Partition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from commands.ports import Outgoing, TransactionLostError
from infra.kafka.command_log import member_of
from infra.kafka.transactions import Place, TransactionalWriter
from infra.kafka.wire import Member
from tests.conftest import Servers

_TIMEOUT_S = 30.0
_TRANSACTION_TIMEOUT_MS = 10_000
NOW_MS = int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Topics:
    """A topic to write to, and one whose records a group has consumed; two partitions each."""

    bootstrap: str
    name: str

    @property
    def consumed(self) -> str:
        return f"{self.name}-consumed"

    @property
    def places(self) -> tuple[Place, Place]:
        return (self.name, 0), (self.name, 1)

    def make(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        new = [NewTopic(topic, 2) for topic in (self.name, self.consumed)]
        for future in admin.create_topics(new).values():
            future.result(_TIMEOUT_S)

    def writer(self) -> TransactionalWriter:
        """Return a writer of the topics' only transactional id."""
        return TransactionalWriter(self.bootstrap, self.name, _TRANSACTION_TIMEOUT_MS)

    async def open_writer(self) -> TransactionalWriter:
        writer = self.writer()
        await writer.start(self.name, [self.name])
        return writer

    def group_member(self) -> Consumer:
        """Return a consumer of the group, which has not joined it yet."""
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": self.name,
                "group.instance.id": "first",
                "enable.auto.commit": False,
            }
        )

    def reader(self) -> Consumer:
        """Return a consumer that takes partitions by itself."""
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.name}-reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )

    def visible(self, partition: int) -> list[Message]:
        """Return the committed records of a partition, once no transaction is open on it."""
        end = self._end(partition)
        consumer = self.reader()
        consumer.assign([Partition(self.name, partition, 0)])
        found: list[Message] = []
        try:
            while (message := consumer.poll(_TIMEOUT_S)) is not None:
                if message.error() is None:
                    found.append(message)
                elif (message.offset() or 0) >= end:
                    return found
        finally:
            consumer.close()
        raise TimeoutError(f"{self.name}/{partition} was not read to its end")

    def _end(self, partition: int) -> int:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        place = Partition(self.name, partition)
        futures = admin.list_offsets(
            {place: OffsetSpec.latest()},  # type: ignore[no-untyped-call]
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
        )
        return int(futures[place].result(_TIMEOUT_S).offset)


@pytest.fixture
def topics(servers: Servers) -> Topics:
    made = Topics(servers["kafka"], f"transactions-{secrets.token_hex(5)}")
    made.make()
    return made


@pytest.fixture
def group(topics: Topics) -> Iterator[Consumer]:
    """A consumer that its group has taken in.

    It knows its generation a moment before it has its partitions. Closed in between, it may wait
    for itself for ever.
    """
    consumer = topics.group_member()
    consumer.subscribe([topics.consumed])
    while not consumer.assignment():
        consumer.poll(0.1)
    yield consumer
    consumer.close()


@pytest.fixture
def member(group: Consumer) -> Member:
    return member_of(group.consumer_group_metadata())


@pytest_asyncio.fixture
async def writer(topics: Topics) -> AsyncIterator[TransactionalWriter]:
    opened = await topics.open_writer()
    yield opened
    await opened.close()


def records(
    topics: Topics, values: Sequence[bytes], partition: int = 0, key: str = "a key"
) -> list[Outgoing]:
    return [
        Outgoing(topics.name, partition, key, value, [("number", str(number).encode())])
        for number, value in enumerate(values)
    ]


def test_a_member_is_read_as_the_client_keeps_it(topics: Topics, member: Member) -> None:
    assert (member.group, member.instance) == (topics.name, "first")
    assert member.generation >= 0
    assert member.member_id.startswith("first-")


def test_a_member_without_an_instance_has_none() -> None:
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    assert member_of(consumer.consumer_group_metadata()) == Member("g", -1, "", None)
    consumer.close()


def test_what_is_no_member_is_refused() -> None:
    with pytest.raises(ValueError, match="librdkafka"):
        member_of(b"something else")


@pytest.mark.asyncio
async def test_records_and_offsets_are_committed_together(
    topics: Topics, writer: TransactionalWriter, member: Member, group: Consumer
) -> None:
    both = [*records(topics, [b"1", b"2"]), *records(topics, [b"3"], partition=1)]
    ends = await writer.write(
        both, {topics.places[0]: 0}, member, [(topics.consumed, 1, 7)], NOW_MS
    )
    assert ends == {topics.places[0]: 1, topics.places[1]: 0}
    seen = await asyncio.to_thread(topics.visible, 0)
    assert [(m.key(), m.value(), m.headers()) for m in seen] == [
        (b"a key", b"1", [("number", b"0")]),
        (b"a key", b"2", [("number", b"1")]),
    ]
    (committed,) = await asyncio.to_thread(group.committed, [Partition(topics.consumed, 1)])
    assert committed.offset == 7


@pytest.mark.asyncio
async def test_transactions_follow_on_each_other(
    topics: Topics, writer: TransactionalWriter, member: Member
) -> None:
    place = topics.places[0]
    for number in range(200):
        ends = await writer.write(
            records(topics, [str(number).encode()]),
            {place: 2 * number},
            member,
            [(topics.consumed, 0, number)],
            NOW_MS,
        )
        assert ends == {place: 2 * number}
    seen = await asyncio.to_thread(topics.visible, 0)
    assert [m.value() for m in seen] == [str(number).encode() for number in range(200)]


@pytest.mark.asyncio
async def test_a_transaction_may_hold_more_than_a_request(
    topics: Topics, writer: TransactionalWriter, member: Member
) -> None:
    values = [secrets.token_bytes(400_000) for _ in range(7)]
    both = [*records(topics, values), *records(topics, values[:1], partition=1)]
    ends = await writer.write(both, {}, member, [(topics.consumed, 0, 1)], NOW_MS)
    assert ends == {topics.places[0]: 6, topics.places[1]: 0}
    assert [m.value() for m in await asyncio.to_thread(topics.visible, 0)] == values


@pytest.mark.asyncio
async def test_offsets_alone_are_a_transaction(
    topics: Topics, writer: TransactionalWriter, member: Member, group: Consumer
) -> None:
    assert await writer.write([], {}, member, [(topics.consumed, 0, 3)], NOW_MS) == {}
    (committed,) = await asyncio.to_thread(group.committed, [Partition(topics.consumed, 0)])
    assert committed.offset == 3


@pytest.mark.asyncio
async def test_nothing_is_seen_of_records_that_stand_elsewhere(
    topics: Topics, writer: TransactionalWriter, member: Member, group: Consumer
) -> None:
    with pytest.raises(TransactionLostError, match="got offset 0, not 5"):
        await writer.write(
            records(topics, [b"1"]),
            {topics.places[0]: 5},
            member,
            [(topics.consumed, 0, 3)],
            NOW_MS,
        )
    again = await topics.open_writer()
    assert await asyncio.to_thread(topics.visible, 0) == []
    (committed,) = await asyncio.to_thread(group.committed, [Partition(topics.consumed, 0)])
    assert committed.offset < 0
    # One offset for the record, one for the marker that ended its transaction.
    await again.write(
        records(topics, [b"2"]), {topics.places[0]: 2}, member, [(topics.consumed, 0, 3)], NOW_MS
    )
    await again.close()
    assert [m.value() for m in await asyncio.to_thread(topics.visible, 0)] == [b"2"]


@pytest.mark.asyncio
async def test_a_newer_writer_has_the_older_one_refused(
    topics: Topics, writer: TransactionalWriter, member: Member
) -> None:
    newer = await topics.open_writer()
    with pytest.raises(TransactionLostError):
        await writer.write(records(topics, [b"old"]), {}, member, [(topics.consumed, 0, 1)], NOW_MS)
    await newer.write(records(topics, [b"new"]), {}, member, [(topics.consumed, 0, 1)], NOW_MS)
    await newer.close()
    assert [m.value() for m in await asyncio.to_thread(topics.visible, 0)] == [b"new"]


@pytest.mark.asyncio
async def test_a_member_of_an_older_generation_is_refused(
    topics: Topics, writer: TransactionalWriter, member: Member
) -> None:
    zombie = replace(member, generation=member.generation - 1)
    with pytest.raises(TransactionLostError, match="IllegalGeneration"):
        await writer.write(records(topics, [b"old"]), {}, zombie, [(topics.consumed, 0, 1)], NOW_MS)
    successor = await topics.open_writer()
    await successor.close()
    assert await asyncio.to_thread(topics.visible, 0) == []


@pytest.mark.asyncio
async def test_records_have_the_time_that_they_are_given(
    topics: Topics, writer: TransactionalWriter, member: Member
) -> None:
    before_ms = NOW_MS - 3_600_000
    await writer.write(records(topics, [b"1"]), {}, member, [(topics.consumed, 0, 1)], before_ms)
    [seen] = await asyncio.to_thread(topics.visible, 0)
    assert seen.timestamp()[1] == before_ms


@pytest.mark.asyncio
async def test_a_log_that_is_away_is_said_so(unused_tcp_port: int) -> None:
    nowhere = Topics(f"127.0.0.1:{unused_tcp_port}", "nowhere").writer()
    with pytest.raises(TransactionLostError, match="Unable to bootstrap"):
        await nowhere.start("nowhere", ["nowhere"])
    await nowhere.close()
