"""Waiting until projections have applied what somebody has seen.

While anybody waits, one task a store reads its positions every few milliseconds and wakes
whoever is satisfied: the cost does not grow with the number of waiting readers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from events.base import TopicPartition
from events.errors import StreamHubError, Unavailable
from infra.kafka.ends import LogEnds
from infra.live_builds import LiveBuilds
from projections.declaration import Projection, Store
from projections.ports import Sink

_POLL_S = 0.005
#: A store that takes steps in at some pace need not be asked more often than so many times a step.
_LOOKS_A_STEP = 10
#: For how long a position that was read is believed: a store that was restored from a backup
#: stands further back than it did.
_BELIEVED_S = 1.0
#: Time to look once, for whoever does not want to wait.
_LOOK_S = 0.1
#: (projection, partition) -> the position that it must have reached.
Needs = Mapping[tuple[str, TopicPartition], int]


class ProjectionBehind(Unavailable):
    """A projection has not applied yet what the caller has seen."""

    code = "PROJECTION_BEHIND"


class _StoreWatcher:
    """Reads the positions of one store's projections for as long as anybody waits."""

    def __init__(self, sink: Sink, builds: LiveBuilds) -> None:
        self._sink = sink
        self._builds = builds
        self._pause_s = max(_POLL_S, sink.pace_s / _LOOKS_A_STEP)
        self._positions: dict[tuple[str, TopicPartition], int] = {}
        self._believed_until = 0.0
        self._waiting: dict[asyncio.Future[None], Needs] = {}
        self._task: asyncio.Task[None] | None = None

    def has(self, needs: Needs) -> bool:
        """Say whether the store stands there, as far as is known and still believed."""
        return asyncio.get_running_loop().time() < self._believed_until and self._stands_at(needs)

    def _stands_at(self, needs: Needs) -> bool:
        return all(self._positions.get(place, 0) >= target for place, target in needs.items())

    def reached(self, needs: Needs) -> asyncio.Future[None]:
        """Return what is done when the store stands there; whoever gives up cancels it."""
        reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[reached] = needs
        reached.add_done_callback(self._waiting.pop)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        return reached

    async def _poll(self) -> None:
        while self._waiting:
            with contextlib.suppress(StreamHubError):
                stored = await self._sink.positions(await self._builds.trusted(self._sink.store))
                self._believed_until = asyncio.get_running_loop().time() + _BELIEVED_S
                self._positions = {
                    (name, source): position
                    for name, positions in stored.items()
                    for source, position in positions.items()
                }
                # Nobody looks again when it is their turn: under much load that comes so late that
                # the position would not be believed any more.
                for reached, needs in self._waiting.items():
                    if not reached.done() and self._stands_at(needs):
                        reached.set_result(None)
            await asyncio.sleep(self._pause_s)


class PositionWaiter:
    """Implements ``query_api.reading.Freshness`` and ``commands.services.AppliedWaiter``."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        projections: Sequence[Projection],
        builds: LiveBuilds,
        ends: LogEnds,
        timeout_s: float,
    ) -> None:
        self._projections = projections
        self._ends = ends
        self._timeout_s = timeout_s
        self._watchers = {sink.store: _StoreWatcher(sink, builds) for sink in sinks}

    async def wait(
        self,
        projections: Iterable[Projection],
        seen: Mapping[tuple[str, int], int],
        timeout_s: float | None = None,
    ) -> None:
        needs: dict[Store, dict[tuple[str, TopicPartition], int]] = defaultdict(dict)
        for projection in projections:
            topics = projection.topics()
            for (domain, partition), offset in seen.items():
                source = TopicPartition(f"events.{domain}", partition)
                if source.topic in topics and offset >= 0:
                    needs[projection.store][projection.name, source] = offset + 1
        await self._wait_all(needs, timeout_s)

    async def catch_up(self, projections: Sequence[Projection]) -> None:
        """Wait until the projections have applied the log as it ends now."""
        topics = sorted({topic for projection in projections for topic in projection.topics()})
        sources = await self._ends.partitions(topics)
        needs: dict[Store, dict[tuple[str, TopicPartition], int]] = defaultdict(dict)
        for source, end in (await self._ends.ends(sources)).items():
            for projection in projections:
                if source.topic in projection.topics() and end > 0:
                    needs[projection.store][projection.name, source] = end
        await self._wait_all(needs)

    async def applied(self, store: str, domain: str, partition: int, offset: int) -> None:
        """Wait for all projections of a store; give up quietly after the bound."""
        projections = [p for p in self._projections if p.store is Store(store)]
        with contextlib.suppress(ProjectionBehind):
            await self.wait(projections, {(domain, partition): offset})

    async def _wait_all(self, needs: Mapping[Store, Needs], timeout_s: float | None = None) -> None:
        waiting = [
            self._watchers[store].reached(places)
            for store, places in needs.items()
            if not self._watchers[store].has(places)
        ]
        if not waiting:
            return
        bound_s = max(_LOOK_S, self._timeout_s if timeout_s is None else timeout_s)
        try:
            _, missed = await asyncio.wait(waiting, timeout=bound_s)
        finally:
            for reached in waiting:
                reached.cancel()
        if missed:
            raise ProjectionBehind(
                "What you have seen has not reached every read model yet", retry_after_s=1.0
            )
