"""A reader that stands still while the log grows ends its process, one at rest does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from events.base import TopicPartition
from events.errors import Unavailable
from infra.kafka.ends import LogEnds
from infra.watchdog import ReaderAhead, Watchdog, WorkerStalled
from projections.streaming import StreamWorker

PLACE = TopicPartition("events.videos", 0)
STALL_S = 0.05


class Log:
    """Ends of partitions, or no answer."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.is_away = False

    async def ends(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        if self.is_away:
            raise Unavailable("Kafka is away")
        return dict.fromkeys(sources, self.end)


class Worker:
    """A reader at a position, with a partition or without."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.sources = frozenset({PLACE})
        self.is_rebalancing = False
        self.reader = SimpleNamespace(name="reader", received=lambda _source: self.position)

    def assignment(self) -> frozenset[TopicPartition]:
        return self.sources


def watched(worker: Worker, log: Log) -> Watchdog:
    return Watchdog([cast("StreamWorker", worker)], cast("LogEnds", log), STALL_S)


async def _is_content(watchdog: Watchdog, seconds: float = 6 * STALL_S) -> bool:
    task: asyncio.Task[Any] = asyncio.create_task(watchdog.run())
    await asyncio.wait([task], timeout=seconds)
    is_content = not task.done()
    task.cancel()
    return is_content


async def test_who_stands_still_before_the_end_is_stalled() -> None:
    with pytest.raises(WorkerStalled, match=r"stands at 3 of events\.videos/0, which ends at 5"):
        await watched(Worker(3), Log(5)).run()


@pytest.mark.parametrize("position", [0, 5])
async def test_who_has_read_everything_is_not(position: int) -> None:
    assert await _is_content(watched(Worker(position), Log(position)))


async def test_nobody_is_blamed_while_the_log_is_away() -> None:
    log = Log(5)
    log.is_away = True
    assert await _is_content(watched(Worker(3), log))


async def test_a_rebalance_that_never_ends_is_a_stall_too() -> None:
    """R2: while it lasts the reader has no partition, so that nothing would be looked at."""
    worker, log = Worker(5), Log(5)
    watchdog = watched(worker, log)
    assert await _is_content(watchdog)
    worker.sources, worker.is_rebalancing, log.end = frozenset(), True, 6
    with pytest.raises(WorkerStalled):
        await watchdog.run()


async def test_who_lost_its_partitions_to_another_is_at_rest() -> None:
    worker, log = Worker(5), Log(5)
    watchdog = watched(worker, log)
    assert await _is_content(watchdog)
    worker.sources, log.end = frozenset(), 6
    assert await _is_content(watchdog)


async def test_who_has_read_more_than_there_is_cannot_go_on() -> None:
    with pytest.raises(ReaderAhead, match="stands at 7"):
        await watched(Worker(7), Log(5)).run()
