"""Contestant: an agent that takes events in batches, which is the fastest that Faust offers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from benchmarks.live_projection.by_hand import connect, write
from benchmarks.live_projection.faust_app import run_agent
from benchmarks.live_projection.place import Place
from benchmarks.live_projection.stopwatch import Stopwatch

BATCH_EVENTS = 5_000
WITHIN_S = 1.0


async def project(place: Place, stopwatch: Stopwatch) -> None:
    """Count views with ``take``, 5,000 at a time."""
    connection = await connect(place.postgres)

    async def count(stream: Any) -> None:
        async for events in stream.take_events(BATCH_EVENTS, within=WITHIN_S):
            counts = Counter(orjson.loads(event.value)["video_id"] for event in events)
            offsets = {event.message.partition: event.message.offset + 1 for event in events}
            await write(connection, counts, offsets)
            stopwatch.count(len(events))

    await run_agent(place, count, stopwatch)
    await connection.close()
