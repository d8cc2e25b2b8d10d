"""What the console shows of projections: builds, lag, progress, and what operators did."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from events.base import TopicPartition
from events.errors import StreamHubError
from infra.bootstrap.core import Core
from infra.kafka.ends import LogEnds
from infra.lag import Lag, LagMonitor
from infra.live_builds import LiveBuilds
from infra.postgres.builds import BuildRecord, BuildState
from infra.postgres.operator_tasks import PostgresTasks, Task, TaskState
from projections.declaration import Projection
from projections.registry import PROJECTIONS

#: What was read is shown to everybody who asks within so long.
FRESH_S = 1.0
RECENT_TASKS = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build in the making is, in offsets of the log."""

    tag: str
    done: int
    total: int

    @property
    def percent(self) -> int:
        return 100 * self.done // self.total if self.total else 100


@dataclass(frozen=True, slots=True)
class Build:
    """A build of a projection that exists."""

    tag: str
    record: BuildRecord


def in_the_making(builds: Sequence[Build]) -> Build | None:
    """Return the newest build that is being made: one of a former version may have been left."""
    making = [build for build in builds if build.record.state is BuildState.BUILDING]
    return making[-1] if making else None


@dataclass(frozen=True, slots=True)
class View:
    """One projection as operators see it; ``lags`` is by partition."""

    projection: Projection
    builds: Sequence[Build]
    lags: Sequence[Lag]
    paused: bool
    progress: Progress | None
    task: Task | None

    @property
    def name(self) -> str:
        return self.projection.name

    @property
    def live(self) -> Build | None:
        """The build that readers see."""
        return next((b for b in self.builds if b.record.state is BuildState.LIVE), None)

    @property
    def kept(self) -> Sequence[Build]:
        return [b for b in self.builds if b.record.state is BuildState.KEPT]

    @property
    def building(self) -> Build | None:
        return in_the_making(self.builds)

    @property
    def lag_events(self) -> int:
        return sum(lag.events for lag in self.lags)

    @property
    def lag_seconds(self) -> float:
        return max((lag.seconds for lag in self.lags), default=0.0)

    @property
    def state(self) -> str:
        """What goes on, in a few words."""
        if self.task is not None:
            return f"{self.task.action} under way"
        if self.paused:
            return "paused"
        if self.live is not None and self.live.record.version != self.projection.version:
            return "waits for deploy"
        return "live, a build in the making" if self.building else "live"


@dataclass(frozen=True, slots=True)
class Overview:
    """All projections at a moment."""

    views: Sequence[View]

    def named(self, name: str) -> View | None:
        return next((view for view in self.views if view.name == name), None)


class OverviewReader:
    """Reads the overview, at most once a moment however many look at it."""

    def __init__(self, core: Core, ends: LogEnds, tasks: PostgresTasks) -> None:
        self._core = core
        self._ends = ends
        self._tasks = tasks
        live = LiveBuilds(core.builds, PROJECTIONS)
        self._lag = LagMonitor(core.sinks, PROJECTIONS, live, ends)
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._known = Overview(())

    async def read(self, fresh_s: float = FRESH_S) -> Overview:
        """Return what is known and no older; raises Unavailable."""
        async with self._lock:
            if time.monotonic() - self._read_at > fresh_s:
                self._known = await self._read()
                self._read_at = time.monotonic()
        return self._known

    def forget(self) -> None:
        """Have the next one who asks see what is so then."""
        self._read_at = float("-inf")

    async def _read(self) -> Overview:
        lags = defaultdict(list)
        for lag in await self._lag.measure():
            lags[lag.projection].append(lag)
        builds = defaultdict(list)
        declared = {projection.name: projection for projection in PROJECTIONS}
        for record in await self._core.builds.records():
            if record.projection in declared:
                tag = record.of(declared[record.projection]).tag
                builds[record.projection].append(Build(tag, record))
        paused = await self._core.builds.paused()
        recent = await self._tasks.recent(RECENT_TASKS)
        running = {task.subject: task for task in recent if task.state is TaskState.RUNNING}
        views = [
            View(
                projection=projection,
                builds=builds[projection.name],
                lags=sorted(lags[projection.name], key=lambda lag: lag.source),
                paused=projection.name in paused,
                progress=await self._progress(
                    projection, builds[projection.name], lags[projection.name]
                ),
                task=running.get(projection.name),
            )
            for projection in PROJECTIONS
        ]
        return Overview(views)

    async def _progress(
        self, projection: Projection, builds: Sequence[Build], lags: Sequence[Lag]
    ) -> Progress | None:
        build = in_the_making(builds)
        if build is None:
            return None
        positions = await self._positions(build.record.of(projection))
        done = sum(min(positions.get(lag.source, 0), lag.end) for lag in lags)
        return Progress(build.tag, done, sum(lag.end for lag in lags))

    async def _positions(self, build: Projection) -> Mapping[TopicPartition, int]:
        sink = next(sink for sink in self._core.sinks if sink.store is build.store)
        try:
            return (await sink.positions([build])).get(build.name, {})
        except StreamHubError:
            # Between the note that a build is made and its first table.
            return {}
