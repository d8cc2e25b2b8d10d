"""The live runner of one store's projections: decode once, evolve, apply, know the position.

It is handed batches of one partition in order. Redelivered records are dropped by position; what
cannot be digested goes to the dead letters and the rest flows on, but for the rest of that key
where the projection has it wait; a store that is away is tried again for as long as it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import structlog

from events.base import Recorded, TopicPartition
from events.codec import LogRecord, decode_all_lazily, may_be_personal
from events.errors import LogError, StreamHubError
from events.privacy import KeyRing
from events.registry import REGISTRY
from projections.batches import Batch, parted
from projections.burying import Undertaker
from projections.declaration import AfterPoison, Change, Projection
from projections.parking import Parked, ParkedKeys
from projections.patience import patiently
from projections.ports import Builds, DeadLetters, Move, Parking, PositionMoved, Sink, Step

log = structlog.get_logger(__name__)

#: Records that are dealt with at a time: few enough to stay in the processor's caches with all
#: that is made of them.
_PIECE_RECORDS = 128
#: Batches share a step of the store until they span this many offsets. While the store takes a
#: step in, the next one is made.
_STEP_RECORDS = 10_000


class BatchMissing(StreamHubError):
    """Batches of a partition do not follow on each other; start anew from the store's position."""

    code = "BATCH_MISSING"


class ChosenBuilds:
    """Implements ``projections.ports.Builds`` for builds that were chosen already."""

    async def running(self, projections: Sequence[Projection]) -> Sequence[Projection]:
        return projections


class Runner:
    """Applies batches to the projections of one sink; ``name`` is its identity in dead letters."""

    def __init__(
        self,
        name: str,
        projections: Sequence[Projection],
        sink: Sink,
        *,
        builds: Builds,
        keys: KeyRing,
        dead_letters: DeadLetters,
        parking: Parking,
        dead_letter_cap: float,
    ) -> None:
        self.name = name
        self.store = sink.store
        self.pace_s = sink.pace_s
        self.declared = tuple(projections)
        self._builds = builds
        self._sink = sink
        self._keys = keys
        self._parked = ParkedKeys(parking)
        self._undertaker = Undertaker(name, dead_letters, self._parked, dead_letter_cap)
        self._positions: dict[tuple[str, TopicPartition], int] = {}
        self._received: dict[TopicPartition, int] = {}
        self.applied = 0
        #: Held while batches are applied; whoever else holds it has the runner stand still.
        self.standing = asyncio.Lock()
        self._run(self.declared)

    def _run(self, projections: Sequence[Projection]) -> None:
        self.projections = tuple(projections)
        self._wanted = _wanted(self.projections)
        self._personal = frozenset(filter(may_be_personal, self._wanted))
        self._by_topic = {
            topic: [p for p in self.projections if topic in p.topics()] for topic in self.topics()
        }

    def topics(self) -> frozenset[str]:
        """Return the topics that its projections read, those included that do not run now."""
        return frozenset().union(*(projection.topics() for projection in self.declared))

    async def start(self) -> None:
        """Find out which builds are to run, and make what is missing in the store."""
        self._run(await patiently(self.name, self._builds.running, self.declared))
        await patiently(self.name, self._sink.prepare, self.projections)

    async def reload(self) -> None:
        """Go on with the builds that are to run now; the caller holds ``standing``.

        Raises:
            BatchMissing: one of them is behind what was handed over: it was paused until now.
        """
        received = dict(self._received)
        await self.start()
        for source, start in (await self._assign(list(received))).items():
            if start < received[source]:
                raise BatchMissing(f"{source}: a projection goes on at {start}, all must")

    async def show(self) -> None:
        """Let readers see the builds that run, where a switch was cut short."""
        for projection in self.projections:
            if not await patiently(self.name, self._sink.is_seen, projection):
                log.warning("switch_completed", projection=projection.name, build=projection.tag)
                await patiently(self.name, self._sink.switch, projection)

    async def assign(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Read where the store stands; return the offset to start from in each partition."""
        async with self.standing:
            return await self._assign(sources)

    async def _assign(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        stored = await patiently(self.name, self._sink.positions, self.projections)
        await patiently(self.name, self._parked.load, self.projections)
        starts = {}
        for source in sources:
            for projection in self._readers(source):
                position = stored.get(projection.name, {}).get(source, 0)
                self._positions[projection.name, source] = position
            starts[source] = self._received[source] = self.position(source)
        return starts

    def position(self, source: TopicPartition) -> int:
        """Return the offset below which every projection has applied the partition.

        Where none that reads it runs, that is all that was handed over.
        """
        return min(
            (self._positions.get((p.name, source), 0) for p in self._readers(source)),
            default=self._received.get(source, 0),
        )

    def believed(self) -> dict[tuple[str, TopicPartition], int]:
        """Return where the store was when it was last read or changed, as far as it is known."""
        running = {projection.name for projection in self.projections}
        return {place: at for place, at in self._positions.items() if place[0] in running}

    def received(self, source: TopicPartition) -> int:
        """Return the offset below which every batch was handed over."""
        return self._received.get(source, 0)

    def _readers(self, source: TopicPartition) -> Sequence[Projection]:
        return self._by_topic.get(source.topic, ())

    async def apply(self, batches: Sequence[Batch]) -> None:
        """Apply batches of different partitions; returns when the store has them.

        Raises:
            BatchMissing: a batch before one of these was never handed over.
            TooManyDeadLetters: the cap on indigestible records is reached.
        """
        async with self.standing:
            await self._take(batches)

    async def _take(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.begins > self._received.get(batch.source, 0):
                raise BatchMissing(f"{batch.source}: {batch.begins} follows nothing that was read")
        try:
            await self._apply(batches)
        except PositionMoved:
            log.warning("position_moved", reader=self.name)
            await self._assign([batch.source for batch in batches])
            await self._apply(batches)
        for batch in batches:
            self._received[batch.source] = max(batch.ends, self._received[batch.source])

    async def _apply(self, batches: Sequence[Batch]) -> None:
        writing: asyncio.Task[None] | None = None
        try:
            for together in parted(batches, _STEP_RECORDS):
                steps = [step for batch in together for step in await self._steps(batch)]
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._write(together, steps))
        finally:
            if writing is not None:
                await writing

    async def _write(self, batches: Sequence[Batch], steps: Sequence[Step]) -> None:
        if not steps:
            return
        try:
            await patiently(self.name, self._sink.apply, steps)
        except StreamHubError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the store refuses
            records = None if len(batches) > 1 else _at_most_one(batches[0].records)
            if records is not None:
                await self._apply_each(steps, records)
                return
            log.warning("step_refused", reader=self.name, reason=type(error).__name__)
            await self._apply_apart(batches)
            return
        self._note(steps)

    def _note(self, steps: Sequence[Step]) -> None:
        for step in steps:
            for move in step.moves:
                self._positions[move.projection.name, step.source] = move.after

    async def _apply_apart(self, batches: Sequence[Batch]) -> None:
        """Apply record by record, to find the one that the store refuses."""
        for batch in batches:
            begins = batch.begins
            for record in batch.records:
                await self._apply([Batch(batch.source, begins, record.offset + 1, [record])])
                begins = record.offset + 1
            await self._apply([Batch(batch.source, begins, batch.ends, [])])

    async def _apply_each(self, steps: Sequence[Step], records: Sequence[LogRecord]) -> None:
        """Apply one record projection by projection; bury it for those whose store refuses it."""
        for step in steps:
            for move in step.moves:
                alone = [Step(step.source, [move])]
                try:
                    await patiently(self.name, self._sink.apply, alone)
                except StreamHubError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever the store refuses
                    for record in records:
                        await self._bury_for(move.projection, record, error)
                    self._undertaker.count(len(records), len(records))
                    nothing = [Step(step.source, [replace(move, changes=())])]
                    await patiently(self.name, self._sink.apply, nothing)
                self._note(alone)

    async def _steps(self, batch: Batch) -> list[Step]:
        """Return the batch as a step, or nothing when all of it was applied before."""
        source, start = batch.source, self.position(batch.source)
        if batch.ends <= start:
            return []
        if batch.begins > start:
            raise BatchMissing(f"{source}: the store went back to {start}, before {batch.begins}")
        readers = self._readers(source)
        if not readers:
            return []
        changes: dict[str, list[Change]] = {projection.name: [] for projection in readers}
        for records in _pieces(batch.records):
            fresh = [record for record in records if record.offset >= start]
            decoded = await self._decode(fresh)
            for projection in readers:
                changes[projection.name] += await self._changes(projection, source, decoded)
            self.applied += len(fresh)
            # Answers of the store to the step before may be waiting.
            await asyncio.sleep(0)
        moves = []
        for projection in readers:
            before = self._positions.get((projection.name, source), 0)
            if batch.ends > before:
                moves.append(Move(projection, before, batch.ends, changes[projection.name]))
        return [Step(source, moves)]

    async def _decode(
        self, records: Sequence[LogRecord]
    ) -> list[tuple[LogRecord, Sequence[Recorded]]]:
        """Decode what any projection reads; the rest is passed over unseen."""
        wanted = [record for record in records if record.stored_name in self._wanted]
        personal = [record for record in wanted if record.stored_name in self._personal]
        if personal:
            persons = {person for record in personal for person in record.persons()}
            await patiently(self.name, self._keys.load, persons)
        decoded: list[tuple[LogRecord, Sequence[Recorded]]] = []
        dead = 0
        for record in wanted:
            try:
                found = decode_all_lazily(record, self._keys)
            except LogError as error:
                dead += 1
                await self._bury_undecoded(record, error)
            else:
                decoded.append((record, found))
        self._undertaker.count(len(records), dead)
        return decoded

    async def _changes(
        self,
        projection: Projection,
        source: TopicPartition,
        decoded: Sequence[tuple[LogRecord, Sequence[Recorded]]],
    ) -> list[Change]:
        """Return what records mean to a projection; bury those that it chokes on."""
        before = self._positions.get((projection.name, source), 0)
        handled = frozenset(projection.events)
        waiting = self._parked.since
        changes: list[Change] = []
        dead = 0
        for record, found in decoded:
            if record.offset < before:
                continue
            # Of a record that fails half-way, nothing is applied.
            whole = len(changes)
            try:
                for recorded in found:
                    if type(recorded.event) in handled:
                        if waiting:
                            self._parked.check(projection, record)
                        changes += projection.evolve(recorded)
            except Exception as error:  # noqa: BLE001 - whatever a read model chokes on
                del changes[whole:]
                dead += not isinstance(error, Parked)
                await self._bury_for(projection, record, error)
        self._undertaker.count(len(decoded), dead)
        return changes

    async def _bury_for(
        self, projection: Projection, record: LogRecord, error: BaseException
    ) -> None:
        """Put a record aside for one projection, and have its key wait if that is the policy."""
        parking = [projection] if projection.after_poison is AfterPoison.PARK else []
        await self._undertaker.bury(record, projection.name, error, parking)

    async def _bury_undecoded(self, record: LogRecord, error: BaseException) -> None:
        """Put a record aside for all projections; the key waits for those that want it to."""
        name = record.stored_name
        parking = [
            projection
            for projection in self._readers(record.source)
            if projection.after_poison is AfterPoison.PARK
            and name in _wanted([projection])
            and record.offset >= self._positions.get((projection.name, record.source), 0)
        ]
        await self._undertaker.bury(record, self.name, error, parking)


def _pieces(records: Iterable[LogRecord]) -> Iterator[Sequence[LogRecord]]:
    """Yield records a few at a time, in their order."""
    left = iter(records)
    while piece := list(islice(left, _PIECE_RECORDS)):
        yield piece


def _at_most_one(records: Iterable[LogRecord]) -> Sequence[LogRecord] | None:
    """Return the records unless they are several."""
    first = list(islice(records, 2))
    return first if len(first) <= 1 else None


def _wanted(projections: Sequence[Projection]) -> frozenset[bytes | None]:
    """Return the stored names, former ones included, of the records that projections read.

    None is among them: a record without a name is looked at, so that somebody hears of it.
    """
    types = {event for projection in projections for event in projection.events}
    own = {f"{t.name}.v{version}" for t in types for version in range(1, t.version + 1)}
    names = own | REGISTRY.stored_names(types)
    return frozenset({None, *(name.encode() for name in names)})
