"""How far projections and reactions are behind the log: in records, and in seconds.

Seconds are the age of the oldest record that was not applied. Partitions that were never touched
count from offset 0.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
    #: Why it counts for nothing: it claims to have applied what the log does not hold.
    refused: str = ""

    @property
    def counts(self) -> int:
        """The offset below which everything is applied for certain."""
        return 0 if self.refused else self.position

    @property
    def events(self) -> int:
        return max(0, self.end - self.counts)


def beyond(
    projections: Sequence[Projection],
    positions: Mapping[str, Mapping[TopicPartition, int]],
    ends: Mapping[TopicPartition, int],
) -> dict[str, str]:
    """Return the projections that stand beyond the end of the log, with where."""
    found = {}
    for projection in projections:
        for source, position in positions.get(projection.name, {}).items():
            end = ends.get(source, 0)
            if source.topic in projection.topics() and position > end:
                found[projection.name] = (
                    f"{projection.name} claims to be at {position} of "
                    f"{source.topic}/{source.partition}, the log ends at {end}"
                )
    return found


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
        refused = {
            **beyond(self._projections, positions, ends),
            **await self._builds.ahead(),
        }
        found = [
            Lag(
                projection.name,
                source,
                positions.get(projection.name, {}).get(source, 0),
                end,
                0.0,
                refused.get(projection.name, ""),
            )
            for projection in self._projections
            for source, end in ends.items()
            if source.topic in projection.topics()
        ]
        ages = await self._ages(found)
        return [replace(lag, seconds=ages.get((lag.source, lag.counts), 0.0)) for lag in found]

    async def _positions(self) -> dict[str, Mapping[TopicPartition, int]]:
        found: dict[str, Mapping[TopicPartition, int]] = {}
        for sink in self._sinks:
            found.update(await sink.positions(await self._builds(sink.store)))
        return found

    async def _ages(self, lags: Sequence[Lag]) -> dict[tuple[TopicPartition, int], float]:
        now = time.time()
        ages = {}
        for source, position in {(lag.source, lag.counts) for lag in lags if lag.events}:
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
