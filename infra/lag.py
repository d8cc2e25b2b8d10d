"""How far projections and reactions are behind the log: in records, and in seconds.

Seconds are the age of the oldest record that was not applied. Partitions that were never touched
count from offset 0.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from events.base import TopicPartition
from infra import metrics
from infra.kafka.ends import LogEnds
from infra.live_builds import LiveBuilds
from projections.declaration import Projection
from projections.ports import Sink


@dataclass(frozen=True, slots=True)
class Lag:
    """One projection's distance from the end of one partition."""

    projection: str
    source: TopicPartition
    position: int
    end: int
    seconds: float

    @property
    def events(self) -> int:
        return max(0, self.end - self.position)


class LagMonitor:
    """Measures the lag of the projections of some sinks."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        projections: Sequence[Projection],
        builds: LiveBuilds,
        ends: LogEnds,
    ) -> None:
        self._sinks = sinks
        self._projections = projections
        self._builds = builds
        self._ends = ends

    async def measure(self) -> list[Lag]:
        """Return the lag of every projection in every partition; raises Unavailable."""
        topics = sorted({topic for p in self._projections for topic in p.topics()})
        # Positions first: an end that is read later can only be further on.
        positions = await self._positions()
        ends = await self._ends.ends(await self._ends.partitions(topics))
        behind = [
            (projection, source, positions.get(projection.name, {}).get(source, 0), end)
            for projection in self._projections
            for source, end in ends.items()
            if source.topic in projection.topics()
        ]
        ages = await self._ages(behind)
        return [
            Lag(projection.name, source, position, end, ages.get((source, position), 0.0))
            for projection, source, position, end in behind
        ]

    async def _positions(self) -> dict[str, Mapping[TopicPartition, int]]:
        found: dict[str, Mapping[TopicPartition, int]] = {}
        for sink in self._sinks:
            found.update(await sink.positions(await self._builds(sink.store)))
        return found

    async def _ages(
        self, behind: Sequence[tuple[Projection, TopicPartition, int, int]]
    ) -> dict[tuple[TopicPartition, int], float]:
        now = time.time()
        ages = {}
        for source, position in {(s, at) for _, s, at, end in behind if end > at}:
            oldest = await self._ends.oldest_ms(source, position)
            if oldest is not None:
                ages[source, position] = max(0.0, now - oldest / 1000)
        return ages

    async def export(self) -> None:
        """Set the gauges."""
        for lag in await self.measure():
            labels = (lag.projection, lag.source.topic, str(lag.source.partition))
            metrics.PROJECTION_LAG_EVENTS.labels(*labels).set(lag.events)
            metrics.PROJECTION_LAG_SECONDS.labels(*labels).set(lag.seconds)
