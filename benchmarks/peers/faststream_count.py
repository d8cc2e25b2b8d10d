"""Contestant: a FastStream subscriber on confluent-kafka that takes batches."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import psycopg

from benchmarks.peers.work import ADD, BATCH_RECORDS, MAKE, MOVE, TOPIC, Stopwatch, place


async def follow(stopwatch: Stopwatch) -> None:
    """Count until all is applied."""
    from faststream import FastStream
    from faststream.confluent import KafkaBroker, KafkaMessage

    where = place()
    connection = await psycopg.AsyncConnection.connect(where.postgres, autocommit=True)
    await connection.execute(MAKE)
    broker = KafkaBroker(where.kafka, logger=None)

    async def count(bodies: list[Any], message: KafkaMessage) -> None:
        views = Counter(body["video_id"] for body in bodies)
        offsets = {each.partition(): each.offset() + 1 for each in message.raw_message}
        async with connection.transaction():
            await connection.execute(ADD, [list(views), list(views.values())])
            await connection.execute(MOVE, [list(offsets), list(offsets.values())])
        stopwatch.count(views.total())

    # The library reads the annotations, of which one is only known here.
    count.__annotations__ = {"bodies": list[Any], "message": KafkaMessage}
    broker.subscriber(
        TOPIC,
        group_id=where.run,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        batch=True,
        max_records=BATCH_RECORDS,
    )(count)
    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(follow(Stopwatch(place().events)))
