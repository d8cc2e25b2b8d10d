"""Contestant: StreamHub's own code, as its projection workers run it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.live_projection.place import Place
from benchmarks.live_projection.stopwatch import Stopwatch
from events.base import Recorded
from events.engagement import VideoViewed
from infra.collector import relieve_collector
from infra.dead_letters.parking import PostgresParking
from infra.kafka.dead_letters import KafkaDeadLetters
from infra.memory import keep_freed_memory
from infra.postgres.database import migrate, open_pool
from infra.postgres.key_store import PostgresKeyRing
from infra.postgres.sink import PostgresSink
from infra.settings import Settings
from projections.batches import Batch
from projections.declaration import Change, Increment, Projection, Store, Table
from projections.runner import ChosenBuilds, Runner
from projections.streaming import StreamWorker

_MASTER_KEY = "a key that wraps the keys of nobody"


def evolve(recorded: Recorded) -> Iterable[Change]:
    match recorded.event:
        case VideoViewed(video_id=video_id):
            yield Increment("view_counts", (video_id,), {"view_count": 1})


VIEW_COUNTS = Projection(
    name="view_counts",
    version=1,
    store=Store.POSTGRES,
    events=(VideoViewed,),
    evolve=evolve,
    tables=(
        Table(
            name="view_counts",
            columns={"video_id": "uuid", "view_count": "bigint NOT NULL DEFAULT 0"},
            key=("video_id",),
        ),
    ),
)


class TimedRunner(Runner):
    """Tells the stopwatch what is applied."""

    stopwatch: Stopwatch

    async def apply(self, batches: Sequence[Batch]) -> None:
        before = self.applied
        await super().apply(batches)
        self.stopwatch.count(self.applied - before)


async def project(place: Place, stopwatch: Stopwatch) -> None:
    """Count views with a projection, its runner, sink and Faust worker."""
    pool = await open_pool(place.postgres)
    await migrate(pool)
    runner = TimedRunner(
        place.run,
        [VIEW_COUNTS],
        PostgresSink(pool),
        builds=ChosenBuilds(),
        keys=PostgresKeyRing(pool, _MASTER_KEY),
        dead_letters=KafkaDeadLetters(place.kafka),
        parking=PostgresParking(pool, place.kafka),
        dead_letter_cap=Settings().dead_letter_cap,
    )
    runner.stopwatch = stopwatch
    relieve_collector()
    keep_freed_memory()
    worker = StreamWorker(place.kafka, runner)
    await worker.start()
    finished = asyncio.ensure_future(stopwatch.finished.wait())
    ends: list[asyncio.Future[Any]] = [finished, worker.failed]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if worker.failed.done():
        worker.failed.result()
    await worker.stop()
    await pool.close()
