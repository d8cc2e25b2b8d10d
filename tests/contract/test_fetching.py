"""The pace of fetches, on a real broker."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition as Partition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from projections.fetching import FULL_OFFSETS, WholeFetchConsumer
from projections.unpacking import Fetched
from tests.conftest import Servers

_TIMEOUT_S = 30.0
#: Longer than some records take to be sent, and longer than any test waits.
PACE_S, NEVER_S = 3.0, 600.0


class Topic:
    """A topic of one partition, somebody who writes and somebody who reads at a pace."""

    def __init__(self, bootstrap: str, pace_s: float) -> None:
        self.bootstrap = bootstrap
        self.partition = Partition(f"paced-{secrets.token_hex(4)}", 0)
        self.producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        self.consumer = WholeFetchConsumer(bootstrap_servers=bootstrap, pace_s=pace_s)

    async def open(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        (made,) = admin.create_topics([NewTopic(self.partition.topic, 1)]).values()
        made.result(_TIMEOUT_S)
        await self.producer.start()
        await self.consumer.start()
        self.consumer.assign([self.partition])
        self.consumer.seek(self.partition, 0)

    async def close(self) -> None:
        await self.consumer.stop()
        await self.producer.stop()

    async def send(self, *values: str) -> None:
        """Send values together; a fetch brings all of them or none."""
        batch = self.producer.create_batch()
        for value in values:
            batch.append(key=None, value=value.encode(), timestamp=None)
        await (await self.producer.send_batch(batch, self.partition.topic, partition=0))

    async def take(self) -> list[str]:
        """Return the values of the next fetch that brings something."""
        async with asyncio.timeout(_TIMEOUT_S):
            found: list[Fetched] = []
            while not found:
                taken = await self.consumer.getmany(timeout_ms=100)
                found = [one for fetches in taken.values() for one in fetches]
        return [record.value.decode() for fetched in found for record in fetched]


@pytest_asyncio.fixture
async def topic(servers: Servers, request: pytest.FixtureRequest) -> AsyncIterator[Topic]:
    made = Topic(servers["kafka"], request.param)
    await made.open()
    yield made
    await made.close()


@pytest.mark.parametrize("topic", [PACE_S], indirect=True)
async def test_a_fetch_after_one_that_brought_little_has_all_that_came_meanwhile(
    topic: Topic,
) -> None:
    await topic.send("first")
    assert await topic.take() == ["first"]
    for value in ("second", "third", "fourth"):
        await topic.send(value)
    assert await topic.take() == ["second", "third", "fourth"]


@pytest.mark.parametrize("topic", [NEVER_S], indirect=True)
async def test_a_fetch_after_one_that_brought_much_does_not_wait(topic: Topic) -> None:
    await topic.send(*["early"] * FULL_OFFSETS)
    assert await topic.take() == ["early"] * FULL_OFFSETS
    await topic.send("next")
    assert await topic.take() == ["next"]


@pytest.mark.parametrize("topic", [NEVER_S], indirect=True)
async def test_a_reader_that_waits_to_fetch_can_be_closed(topic: Topic) -> None:
    await topic.send("first")
    assert await topic.take() == ["first"]
    async with asyncio.timeout(_TIMEOUT_S):
        await topic.consumer.stop()
