"""Where the log ends, and how old the oldest record behind a position is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from events.base import TopicPartition
from events.errors import Unavailable

_TIMEOUT_MS = 1_000


class LogEnds:
    """Asks Kafka for ends and ages; one connection, one question at a time.

    The ends are those of everything appended, decided or not: a transaction's markers reach its
    partitions one after another, so an outcome can be seen a moment before the stable end of the
    partition with its events has moved.
    """

    def __init__(self, bootstrap: str) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=10_000,
        )
        self._lock = asyncio.Lock()
        self._started = False

    async def _connected(self) -> AIOKafkaConsumer:
        if not self._started:
            await self._consumer.start()
            self._started = True
        return self._consumer

    async def close(self) -> None:
        await self._consumer.stop()

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Return every partition of the topics, those that were never touched included."""
        async with self._lock:
            consumer = await self._reach()
            found: list[TopicPartition] = []
            for topic in topics:
                numbers = consumer.partitions_for_topic(topic)
                if numbers is None:
                    await consumer._client.force_metadata_update()  # noqa: SLF001
                    numbers = consumer.partitions_for_topic(topic) or set()
                found.extend(TopicPartition(topic, number) for number in sorted(numbers))
            return found

    async def _reach(self) -> AIOKafkaConsumer:
        try:
            return await self._connected()
        except KafkaError as error:
            raise Unavailable(f"Kafka cannot be reached: {error}") from error

    async def ends(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset behind the last record of each partition.

        Raises:
            Unavailable: Kafka does not answer.
        """
        wanted = {KafkaTopicPartition(s.topic, s.partition): s for s in sources}
        async with self._lock:
            consumer = await self._reach()
            try:
                ends = await consumer.end_offsets(list(wanted))
            except KafkaError as error:
                raise Unavailable(f"Kafka does not answer: {error}") from error
        return {wanted[tp]: end for tp, end in ends.items()}

    async def oldest_ms(
        self, positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int | None]:
        """Return the time (ms since 1970) of the first record at or after each position.

        None means that no record stands there: what lies behind are transaction markers.
        """
        async with self._lock:
            consumer = await self._reach()
            return {s: await self._first_ms(consumer, s, at) for s, at in positions.items()}

    @staticmethod
    async def _first_ms(
        consumer: AIOKafkaConsumer, source: TopicPartition, position: int
    ) -> int | None:
        partition = KafkaTopicPartition(source.topic, source.partition)
        consumer.assign([partition])
        consumer.seek(partition, position)
        fetched = await consumer.getmany(partition, timeout_ms=_TIMEOUT_MS, max_records=1)
        records = fetched.get(partition) or []
        return records[0].timestamp if records else None
