"""Contestant: an agent as Faust's manual begins with, which takes one event after another."""

from __future__ import annotations

from typing import Any

import orjson

from benchmarks.live_projection.by_hand import connect, write
from benchmarks.live_projection.faust_app import run_agent
from benchmarks.live_projection.place import Place
from benchmarks.live_projection.stopwatch import Stopwatch


async def project(place: Place, stopwatch: Stopwatch) -> None:
    """Count views one at a time, count and offset in one transaction each."""
    connection = await connect(place.postgres)

    async def count(stream: Any) -> None:
        async for event in stream.events():
            counts = {orjson.loads(event.value)["video_id"]: 1}
            offsets = {event.message.partition: event.message.offset + 1}
            await write(connection, counts, offsets)
            stopwatch.count(1)

    await run_agent(place, count, stopwatch)
    await connection.close()
