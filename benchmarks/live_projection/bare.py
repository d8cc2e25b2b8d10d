"""Contestant: aiokafka and asyncpg by hand, with nothing between them."""

from __future__ import annotations

from collections import Counter

import orjson
from aiokafka import AIOKafkaConsumer

from benchmarks.live_projection.by_hand import connect, write
from benchmarks.live_projection.place import Place
from benchmarks.live_projection.stopwatch import Stopwatch
from benchmarks.live_projection.views import TOPIC

BATCH_RECORDS = 5_000


async def project(place: Place, stopwatch: Stopwatch) -> None:
    """Count views in batches of at most 5,000 records."""
    connection = await connect(place.postgres)
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=place.kafka,
        group_id=place.run,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    while not stopwatch.finished.is_set():
        fetched = await consumer.getmany(timeout_ms=500, max_records=BATCH_RECORDS)
        if not fetched:
            continue
        counts = Counter(
            orjson.loads(record.value)["video_id"]
            for records in fetched.values()
            for record in records
        )
        offsets = {tp.partition: records[-1].offset + 1 for tp, records in fetched.items()}
        await write(connection, counts, offsets)
        stopwatch.count(counts.total())
    await consumer.stop()
    await connection.close()
