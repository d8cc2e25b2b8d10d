"""Ends a worker that stalls silently: the log grows, its position does not move.

A consumer can stop fetching after a rebalance without a word, or never come to the end of one; the
supervisor starts the process anew, and it goes on from the positions in the stores.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from events.base import TopicPartition
from events.errors import StreamHubError, Unavailable
from infra.kafka.ends import LogEnds

if TYPE_CHECKING:
    from projections.streaming import StreamWorker

log = structlog.get_logger(__name__)

_INTERVAL_S = 10.0


class WorkerStalled(StreamHubError):
    """A partition holds records that its reader has not moved towards for too long."""

    code = "WORKER_STALLED"


class ReaderAhead(StreamHubError):
    """A reader has read beyond the end of a partition: the log is not the one that it knows."""

    code = "READER_AHEAD"


class Watchdog:
    """Watches the partitions that this process reads."""

    def __init__(self, workers: Sequence[StreamWorker], ends: LogEnds, stall_s: float) -> None:
        self._workers = workers
        self._ends = ends
        self._stall_s = stall_s
        self._moved: dict[tuple[str, TopicPartition], tuple[int, float]] = {}
        #: Reader -> what it reads, or read until the rebalance that it is in.
        self._held: dict[str, frozenset[TopicPartition]] = {}

    async def run(self) -> None:
        """Look until something stalls.

        Raises:
            WorkerStalled: it did.
            ReaderAhead: the log ends before what was read of it.
        """
        while True:
            await asyncio.sleep(min(_INTERVAL_S, self._stall_s / 2))
            for worker in self._workers:
                try:
                    await self._look(worker)
                except Unavailable as error:
                    log.warning("watchdog_blind", reason=error.message)

    async def _look(self, worker: StreamWorker) -> None:
        now = time.monotonic()
        name = worker.reader.name
        if worker.assignment() or not worker.is_rebalancing:
            self._held[name] = worker.assignment()
        ends = await self._ends.ends(self._held.get(name, frozenset()))
        for source, end in ends.items():
            position = worker.reader.received(source)
            if position > end:
                await self._look_again(worker, source, position)
            place = (name, source)
            known, since = self._moved.get(place, (-1, now))
            if position != known or position >= end:
                self._moved[place] = (position, now)
            elif now - since > self._stall_s:
                raise WorkerStalled(
                    f"{name} stands at {position} of {source.topic}"
                    f"/{source.partition}, which ends at {end}"
                )

    async def _look_again(
        self, worker: StreamWorker, source: TopicPartition, position: int
    ) -> None:
        """The reader may have gone on since the end was known; the end is not behind that now."""
        end = (await self._ends.ends([source]))[source]
        if position > end:
            raise ReaderAhead(
                f"{worker.reader.name} stands at {position} of {source.topic}/{source.partition}, "
                f"the log ends at {end}: it was restored from an older backup"
            )
