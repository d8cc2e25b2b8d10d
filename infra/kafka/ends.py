"""Where the log ends, and how old the oldest record behind a position is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from events.base import TopicPartition
from events.errors import Unavailable

_TIMEOUT_MS = 1_000


class LogEnds:
    """Asks Kafka for ends and ages, one question at a time.

    The ends are those of everything appended, decided or not: a transaction's markers reach its
    partitions one after another, so an outcome can be seen a moment before the stable end of the
    partition with its events has moved.
    """

    def __init__(self, bootstrap: str) -> None:
        # The one that asks for metadata is never assigned anything: an assignment would narrow
        # what it learns to the topics assigned.
        self._asking = _consumer(bootstrap)
        self._reading = _consumer(bootstrap)
        self._lock = asyncio.Lock()
        self._started = False
        self._partitions: dict[str, list[TopicPartition]] = {}

    async def close(self) -> None:
        await self._asking.stop()
        await self._reading.stop()

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Return every partition of the topics, those that were never touched included.

        Raises:
            Unavailable: Kafka does not answer, or has no such topic.
        """
        wanted = list(topics)
        async with self._lock:
            await self._connect()
            for topic in wanted:
                if topic not in self._partitions:
                    self._partitions[topic] = await self._learn(topic)
        return [source for topic in wanted for source in self._partitions[topic]]

    async def _learn(self, topic: str) -> list[TopicPartition]:
        if not self._asking.partitions_for_topic(topic):
            # A consumer without topics of its own learns of no topic when it connects.
            await self._asking._client.force_metadata_update()  # noqa: SLF001
        numbers = self._asking.partitions_for_topic(topic)
        if not numbers:
            raise Unavailable(f"Kafka has no topic {topic}", code="TOPIC_MISSING")
        return [TopicPartition(topic, number) for number in sorted(numbers)]

    async def _connect(self) -> None:
        if self._started:
            return
        try:
            await self._asking.start()
            await self._reading.start()
        except KafkaError as error:
            raise Unavailable(f"Kafka cannot be reached: {error}") from error
        self._started = True

    async def ends(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset behind the last record of each partition.

        Raises:
            Unavailable: Kafka does not answer.
        """
        wanted = {KafkaTopicPartition(s.topic, s.partition): s for s in sources}
        async with self._lock:
            await self._connect()
            try:
                ends = await self._asking.end_offsets(list(wanted))
            except KafkaError as error:
                raise Unavailable(f"Kafka does not answer: {error}") from error
        return {wanted[tp]: end for tp, end in ends.items()}

    async def oldest_ms(self, source: TopicPartition, position: int) -> int | None:
        """Return the time (ms since 1970) of the first record at or after a position.

        None means that no record stands there: what lies behind are transaction markers.
        """
        partition = KafkaTopicPartition(source.topic, source.partition)
        async with self._lock:
            await self._connect()
            self._reading.assign([partition])
            self._reading.seek(partition, position)
            fetched = await self._reading.getmany(partition, timeout_ms=_TIMEOUT_MS, max_records=1)
        records = fetched.get(partition) or []
        return records[0].timestamp if records else None


def _consumer(bootstrap: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=10_000,
    )
