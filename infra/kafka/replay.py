"""Reading the log once from a moment on, outside any group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from events import base
from events.codec import LogRecord, headers_of
from events.errors import Unavailable


async def replay(
    bootstrap: str,
    topics: Sequence[str],
    since_ms: int = 0,
    starts: Mapping[base.TopicPartition, int] | None = None,
) -> AsyncIterator[Sequence[LogRecord]]:
    """Yield the committed records of topics from a time (ms since 1970) to their present end.

    Records of one partition come in order. ``starts`` are offsets to begin at instead.

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in consumer.partitions_for_topic(topic) or ()
        ]
        ends = await consumer.end_offsets(partitions)
        times = await consumer.offsets_for_times(dict.fromkeys(partitions, since_ms))
        for partition in partitions:
            found = times[partition]
            begin = found.offset if found else ends[partition]
            place = base.TopicPartition(partition.topic, partition.partition)
            consumer.seek(partition, (starts or {}).get(place, begin))
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            fetched = await consumer.getmany(timeout_ms=200)
            for partition, records in fetched.items():
                source = base.TopicPartition(partition.topic, partition.partition)
                yield [log_record(source, record) for record in records]
    except KafkaError as error:
        raise Unavailable(f"Kafka cannot be read: {error}") from error
    finally:
        await consumer.stop()


def log_record(source: base.TopicPartition, record: Any) -> LogRecord:
    """Return a client record as a record of the log."""
    return LogRecord(
        source,
        record.offset,
        (record.key or b"").decode("utf-8", "replace"),
        record.value or b"",
        headers_of(record.headers),
        record.timestamp,
    )
