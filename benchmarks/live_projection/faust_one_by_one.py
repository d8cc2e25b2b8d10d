"""Contestant: an agent as Faust's manual begins with, which takes one event after another."""

from __future__ import annotations

import logging
from typing import Any

import faust
import orjson

from benchmarks.live_projection.by_hand import connect, write
from benchmarks.live_projection.place import Place
from benchmarks.live_projection.stopwatch import Stopwatch
from benchmarks.live_projection.views import TOPIC


async def project(place: Place, stopwatch: Stopwatch) -> None:
    """Count views one at a time, count and offset in one transaction each."""
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
        async for event in stream.events():
            video_id = orjson.loads(event.value)["video_id"]
            await write(connection, {video_id: 1}, {event.message.partition: event.message.offset})
            stopwatch.count(1)

    await app.start()
    await stopwatch.finished.wait()
    await app.stop()
    await connection.close()
