"""Building projections anew beside those that readers see, then switching to them.

A build begins at offset 0, or where it was interrupted, and follows the log through the same
``evolve`` and the same sink as the live runner, in larger steps. Its position is in the store, so
that it can be killed at any moment. It is compared with the live build row by row; what differs is
looked at again, for the log goes on meanwhile, and a last time while the live readers stand still
and both builds are at the same offsets. Then readers see the new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import structlog

from events.base import TopicPartition
from events.errors import Conflict
from infra.ahead import builds_ahead, note_ahead, refusal
from infra.bootstrap.core import Core
from infra.kafka.dead_letters import KafkaDeadLetters
from infra.kafka.ends import LogEnds
from infra.rebuild.bulk import BulkReader
from infra.rebuild.comparing import Comparison, compare
from infra.rebuild.pacing import Pacer
from projections.batches import Batch
from projections.declaration import Projection, Store
from projections.ports import Sink
from projections.runner import ChosenBuilds, Runner
from projections.unpacking import SharedRecords

log = structlog.get_logger(__name__)

#: As near to the end of the log as a build is brought before live readers are stopped, in records.
NEAR_RECORDS = 2_000
#: How often differences are looked at again before live readers are stopped.
COMPARISONS = 3


class BuildsDiffer(Conflict):
    """The new build is not what the live one is; readers still see the live one."""

    code = "BUILDS_DIFFER"


@dataclass(frozen=True, slots=True)
class Share:
    """The partitions that one of several processes reads: each ``of``-th, from ``number`` on."""

    number: int = 0
    of: int = 1

    def among(self, sources: Collection[TopicPartition]) -> list[TopicPartition]:
        """Return those that are in it."""
        return sorted(sources)[self.number :: self.of]


@dataclass(slots=True)
class Progress:
    """How far a pass over the log is, in offsets: records and what stands between them."""

    done: int = 0
    total: int = 0


@dataclass(slots=True)
class _Pass:
    """The runners of a pass over the log, one a store, and what they read."""

    runners: Sequence[Runner]
    reader: BulkReader
    at: dict[TopicPartition, int]
    ends: LogEnds
    #: Where nothing is applied beyond.
    limit: Mapping[TopicPartition, int] = field(default_factory=dict)
    fetched: asyncio.Task[list[Batch]] | None = None


@dataclass(slots=True)
class Rebuild:
    """Makes builds of some projections in one pass over the log.

    ``report`` is called with the progress after each piece. Of the log a build reads its ``share``.
    """

    core: Core
    targets: Sequence[Projection]
    pacer: Pacer = field(default_factory=Pacer)
    report: Callable[[Progress], None] = lambda _: None
    share: Share = Share()

    async def build(self) -> int:
        """Bring the builds near the end of the log; return over how many offsets they went.

        Raises:
            TooManyDeadLetters: the new code cannot digest its events.
            StoreAhead: one that was begun or kept earlier holds what the log does not.
            Unavailable: the log cannot be read.
        """
        async with self.open_pass(self.share) as work:
            for runner in work.runners:
                sink = self._sink(Store(runner.store))
                ahead = await builds_ahead(sink, runner.projections, work.ends)
                if ahead:
                    raise refusal(ahead)
            return await self._follow(work, NEAR_RECORDS)

    async def compare(self) -> dict[str, Comparison]:
        """Return how the builds differ from those that readers see, at the same offsets."""
        found: dict[str, Comparison] = {}
        for store in dict.fromkeys(target.store for target in self.targets):
            targets = [target for target in self.targets if target.store is store]
            found |= await replace(self, targets=targets).compare_store(self._sink(store))
        return found

    async def compare_store(self, sink: Sink) -> dict[str, Comparison]:
        """Compare the builds, which are all of this store; as ``compare``.

        Raises:
            StoreAhead: readers see one that holds what the log does not.
        """
        seen = await self._following(sink)
        if len(seen) < len(self.targets):
            raise refusal(await self.core.builds.ahead())
        found = await self._compared(sink, seen)
        async with self._level(sink, seen):
            return {
                name: await comparison.again(sink, seen[name], self._target(name))
                for name, comparison in found.items()
            }

    async def switch(self, *, verified: bool) -> dict[str, Comparison]:
        """Let readers see the builds; return what the comparisons found.

        Raises:
            BuildsDiffer: rows differ although both builds stand at the same offsets.
            BuildParked: what a build lacks was retried or discarded for the live one meanwhile.
            ReadersBusy: live readers did not stand still.
        """
        found: dict[str, Comparison] = {}
        for store in dict.fromkeys(target.store for target in self.targets):
            targets = [target for target in self.targets if target.store is store]
            found |= await replace(self, targets=targets).switch_store(
                self._sink(store), verified=verified
            )
        return found

    async def switch_store(self, sink: Sink, *, verified: bool) -> dict[str, Comparison]:
        """Let readers see the builds, which are all of this store; as ``switch``."""
        seen = await self._following(sink)
        found = await self._compared(sink, seen) if verified else {}
        async with self._level(sink, seen):
            for name, comparison in found.items():
                found[name] = await comparison.again(sink, seen[name], self._target(name))
                if found[name].differing:
                    raise BuildsDiffer(found[name].sentence(self._target(name)))
            await self.core.parking.check(self.targets)
            for target in self.targets:
                # In this order: live readers complete a switch that is cut short in between.
                await self.core.builds.went_live(target)
                await sink.switch(target)
                log.info("build_switched", projection=target.name, build=target.tag)
        return found

    async def _following(self, sink: Sink) -> dict[str, Projection]:
        """Return the builds that readers see, without those that are ahead of the log.

        Those follow nothing, and equal nothing.
        """
        seen = await self.core.builds.seen(self.targets)
        ends = LogEnds(self.core.places.kafka)
        try:
            await note_ahead(self.core.builds, sink, seen, ends)
        finally:
            await ends.close()
        ahead = await self.core.builds.ahead()
        return {projection.name: projection for projection in seen if projection.name not in ahead}

    async def _compared(self, sink: Sink, seen: Mapping[str, Projection]) -> dict[str, Comparison]:
        """Compare with what readers see; a build of another version is like nothing else."""
        return {
            target.name: await compare(sink, seen[target.name], target, COMPARISONS)
            for target in self.targets
            if target.name in seen and target.version == seen[target.name].version
        }

    @asynccontextmanager
    async def _level(self, sink: Sink, seen: Mapping[str, Projection]) -> AsyncIterator[None]:
        """Have live readers stand still, and the builds at the offsets where they stand."""
        async with self.open_pass() as work:
            await self._follow(work, NEAR_RECORDS)
            async with self.core.builds.held(sink.store):
                await self.follow_to(work, _furthest(await sink.positions([*seen.values()])))
                await self._bring_along(sink, [*seen.values()])
                yield

    async def _bring_along(self, sink: Sink, seen: Sequence[Projection]) -> None:
        """Bring live builds, whose readers stand still, to where the new builds have come."""
        versions = {target.name: target.version for target in self.targets}
        alike = [build for build in seen if build.version == versions[build.name]]
        furthest = _furthest(await sink.positions(self.targets))
        others = replace(self, targets=alike)
        if alike and furthest != _furthest(await sink.positions(alike)):
            async with others.open_pass() as work:
                work.limit = furthest
                await others.follow_to(work, furthest)

    def _target(self, name: str) -> Projection:
        return next(target for target in self.targets if target.name == name)

    def _sink(self, store: Store) -> Sink:
        return next(sink for sink in self.core.sinks if sink.store is store)

    @asynccontextmanager
    async def open_pass(self, share: Share = Share()) -> AsyncIterator[_Pass]:
        """Read a share of the log from where the builds stand."""
        ends = LogEnds(self.core.places.kafka)
        dead_letters = KafkaDeadLetters(self.core.places.kafka)
        try:
            topics = sorted({topic for target in self.targets for topic in target.topics()})
            sources = share.among(await ends.partitions(topics))
            work = await self._open(sources, ends, dead_letters)
            try:
                yield work
            finally:
                if work.fetched is not None:
                    await asyncio.wait([work.fetched])
                await work.reader.close()
        finally:
            await ends.close()
            await dead_letters.close()

    async def _open(
        self, sources: Collection[TopicPartition], ends: LogEnds, dead_letters: KafkaDeadLetters
    ) -> _Pass:
        runners = []
        at: dict[TopicPartition, int] = {}
        for store in dict.fromkeys(target.store for target in self.targets):
            runner = Runner(
                f"rebuild-{store}",
                [target for target in self.targets if target.store is store],
                self._sink(store),
                builds=ChosenBuilds(),
                keys=self.core.keys,
                dead_letters=dead_letters,
                parking=self.core.parking,
                dead_letter_cap=self.core.settings.dead_letter_cap,
            )
            await runner.start()
            read = [source for source in sources if source.topic in runner.topics()]
            for source, start in (await runner.assign(read)).items():
                at[source] = min(start, at.get(source, start))
            runners.append(runner)
        shared = SharedRecords.among([runner.topics() for runner in runners])
        reader = BulkReader(self.core.places.kafka, at, shared, paced=self.pacer.rate > 0)
        await reader.start()
        return _Pass(runners, reader, at, ends)

    async def _follow(self, work: _Pass, near: int) -> int:
        """Apply pieces until the log has no more than ``near`` others; return how many it had."""
        done = 0
        while True:
            until = await work.ends.ends(work.at)
            if done and _missing(work.at, until) <= near:
                return done
            came = await self.follow_to(work, until, done)
            if not came:
                return done
            done += came

    async def follow_to(
        self, work: _Pass, until: Mapping[TopicPartition, int], before: int = 0
    ) -> int:
        """Apply pieces until the builds stand at these offsets at least."""
        missing = _missing(work.at, until)
        progress = Progress(before, before + missing)
        while progress.done < progress.total:
            await self._piece(work)
            progress.done = before + missing - _missing(work.at, until)
            self.report(progress)
        return missing

    async def _piece(self, work: _Pass) -> None:
        """Apply what was read, while what follows is being read."""
        batches = await (work.fetched or work.reader.read())
        work.fetched = asyncio.create_task(work.reader.read())
        batches = [_cut(batch, work.limit) for batch in batches]
        for batch in batches:
            work.at[batch.source] = batch.ends
        await asyncio.gather(*(each.apply(_read_by(each, batches)) for each in work.runners))
        await self.pacer.spend(sum(batch.ends - batch.begins for batch in batches))


def _read_by(runner: Runner, batches: Sequence[Batch]) -> list[Batch]:
    topics = runner.topics()
    return [batch for batch in batches if batch.source.topic in topics]


def _cut(batch: Batch, limit: Mapping[TopicPartition, int]) -> Batch:
    """Return what of a batch lies below the limit."""
    limit_here = limit.get(batch.source, batch.ends)
    if batch.ends <= limit_here:
        return batch
    ends = max(batch.begins, limit_here)
    records = [record for record in batch.records if record.offset < ends]
    return Batch(batch.source, batch.begins, ends, records)


def _furthest(
    positions: Mapping[str, Mapping[TopicPartition, int]],
) -> dict[TopicPartition, int]:
    """Return the furthest position of any projection in each partition."""
    furthest: dict[TopicPartition, int] = {}
    for sources in positions.values():
        for source, position in sources.items():
            furthest[source] = max(position, furthest.get(source, 0))
    return furthest


def _missing(at: Mapping[TopicPartition, int], until: Mapping[TopicPartition, int]) -> int:
    return sum(max(0, end - at.get(source, end)) for source, end in until.items())
