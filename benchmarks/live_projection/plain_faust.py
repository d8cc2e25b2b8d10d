"""Contestant: an agent as Faust's manual has it, which takes events in batches."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import faust
import orjson

from benchmarks.live_projection.by_hand import connect, write
from benchmarks.live_projection.place import Place
from benchmarks.live_projection.stopwatch import Stopwatch
from benchmarks.live_projection.views import TOPIC

BATCH_EVENTS = 5_000
WITHIN_S = 1.0


async def project(place: Place, stopwatch: Stopwatch) -> None:
    """Count views with ``take``, 5,000 at a time."""
    logging.getLogger("faust").setLevel(logging.WARNING)
    logging.getLogger("mode").setLevel(logging.WARNING)
    connection = await connect(place.postgres)
    app = faust.App(
        place.run,
        broker=f"kafka://{place.kafka}",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )
    topic = app.topic(TOPIC, key_type=bytes, value_type=bytes, value_serializer="raw")

    @app.agent(topic)
    async def count(stream: Any) -> None:
        async for events in stream.take_events(BATCH_EVENTS, within=WITHIN_S):
            counts = Counter(orjson.loads(event.value)["video_id"] for event in events)
            offsets = {event.message.partition: event.message.offset + 1 for event in events}
            await write(connection, counts, offsets)
            stopwatch.count(len(events))

    await app.start()
    await stopwatch.finished.wait()
    await app.stop()
    await connection.close()
