"""What contestants that are plain Faust agents have in common."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import faust

from benchmarks.live_projection.place import Place
from benchmarks.live_projection.stopwatch import Stopwatch
from benchmarks.live_projection.views import TOPIC

Agent = Callable[[Any], Awaitable[None]]


async def run_agent(place: Place, agent: Agent, stopwatch: Stopwatch) -> None:
    """Feed the log to an agent until all is applied."""
    logging.getLogger("faust").setLevel(logging.WARNING)
    logging.getLogger("mode").setLevel(logging.WARNING)
    app = faust.App(
        place.run,
        broker=f"kafka://{place.kafka}",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
    )
    topic = app.topic(TOPIC, key_type=bytes, value_type=bytes, value_serializer="raw")
    app.agent(topic)(agent)
    await app.start()
    await stopwatch.finished.wait()
    await app.stop()
