"""The live runner of one store's projections: decode once, evolve, apply, know the position.

It is handed batches of one partition in order. Redelivered records are dropped by position; what
cannot be digested goes to the dead letters and the rest flows on; a store that is away is tried
again for as long as it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from events.base import Recorded, TopicPartition
from events.codec import LogRecord, decode
from events.errors import LogError, StreamHubError
from events.privacy import KeyRing
from projections.batches import Batch
from projections.declaration import Change, Projection
from projections.ports import DeadLetters, Move, PositionMoved, Sink, StoreUnavailable

log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 0.05
_LAST_RETRY_S = 5.0
#: Dead letters are counted over this many records before their share means anything.
_CAP_WINDOW = 200


class BatchMissing(StreamHubError):
    """Batches of a partition do not follow on each other; start anew from the store's position."""

    code = "BATCH_MISSING"


class TooManyDeadLetters(StreamHubError):
    """So much is indigestible that the reader, not the records, must be wrong; it stops."""

    code = "TOO_MANY_DEAD_LETTERS"


@dataclass(slots=True)
class _Share:
    """The share of dead letters among the records read lately."""

    read: int = 0
    dead: int = 0

    def count(self, read: int, dead: int) -> float:
        if self.read > 10 * _CAP_WINDOW:
            self.read, self.dead = self.read // 2, self.dead // 2
        self.read += read
        self.dead += dead
        return self.dead / self.read if self.read >= _CAP_WINDOW else 0.0


class Runner:
    """Applies batches to the projections of one sink; ``name`` is its identity in dead letters."""

    def __init__(
        self,
        name: str,
        projections: Sequence[Projection],
        sink: Sink,
        *,
        keys: KeyRing,
        dead_letters: DeadLetters,
        dead_letter_cap: float,
    ) -> None:
        self.name = name
        self.projections = tuple(projections)
        self._sink = sink
        self._keys = keys
        self._dead_letters = dead_letters
        self._cap = dead_letter_cap
        self._share = _Share()
        self._positions: dict[tuple[str, TopicPartition], int] = {}
        self._pending: dict[TopicPartition, int] = {}
        self._held: dict[TopicPartition, list[LogRecord]] = {}
        self._received: dict[TopicPartition, int] = {}
        self._wanted = _wanted(self.projections)
        self.applied = 0

    def topics(self) -> frozenset[str]:
        """Return the topics that its projections read."""
        return frozenset().union(*(projection.topics() for projection in self.projections))

    async def start(self) -> None:
        """Make what is missing in the store."""
        await self._patiently(self._sink.prepare, self.projections)

    async def assign(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Read where the store stands; return the offset to start from in each partition."""
        stored = await self._patiently(self._sink.positions, self.projections)
        starts = {}
        for source in sources:
            for projection in self._readers(source):
                position = stored.get(projection.name, {}).get(source, 0)
                self._positions[projection.name, source] = position
            self._held.pop(source, None)
            readers = self._readers(source)
            self._pending[source] = await self._patiently(self._sink.pending, readers, source)
            starts[source] = self._received[source] = self.position(source)
        return starts

    def position(self, source: TopicPartition) -> int:
        """Return the offset below which every projection has applied the partition."""
        return min(
            (self._positions.get((p.name, source), 0) for p in self._readers(source)), default=0
        )

    def received(self, source: TopicPartition) -> int:
        """Return the offset below which every batch was handed over."""
        return self._received.get(source, 0)

    def _readers(self, source: TopicPartition) -> list[Projection]:
        return [p for p in self.projections if source.topic in p.topics()]

    async def apply(self, batch: Batch) -> None:
        """Apply a batch of one partition; returns when the store has it.

        Raises:
            BatchMissing: a batch before this one was never handed over.
            TooManyDeadLetters: the cap on indigestible records is reached.
        """
        source = batch.source
        if batch.begins > self._received.get(source, 0):
            raise BatchMissing(f"{source}: offset {batch.begins} follows nothing that was read")
        for part in self._complete(batch):
            try:
                await self._apply(part)
            except PositionMoved:
                log.warning("position_moved", reader=self.name, topic=source.topic)
                await self.assign([source])
                await self._apply(part)
        self._received[source] = max(batch.ends, self._received[source])

    def _complete(self, batch: Batch) -> Iterable[Batch]:
        """Yield what can be applied: a step that may stand half-applied is re-formed exactly."""
        source = batch.source
        pending = self._pending.get(source, -1)
        if pending < 0:
            yield batch
            return
        held = [*self._held.pop(source, []), *batch.records]
        if batch.ends < pending:
            self._held[source] = held
            return
        del self._pending[source]
        start = self.position(source)
        yield Batch(source, start, pending, [r for r in held if r.offset < pending])
        yield Batch(source, pending, batch.ends, [r for r in held if r.offset >= pending])

    async def _apply(self, batch: Batch) -> None:
        source, start = batch.source, self.position(batch.source)
        if batch.ends <= start:
            return
        if batch.begins > start:
            raise BatchMissing(f"{source}: the store went back to {start}, before {batch.begins}")
        fresh = [record for record in batch.records if record.offset >= start]
        decoded = await self._decode(fresh)
        moves = [
            await self._move(projection, batch, decoded) for projection in self._readers(source)
        ]
        moves = [move for move in moves if move.after > move.before]
        await self._patiently(self._sink.apply, source, moves)
        for move in moves:
            self._positions[move.projection.name, source] = move.after
        self.applied += len(fresh)

    async def _decode(self, records: Sequence[LogRecord]) -> list[tuple[LogRecord, Recorded]]:
        """Decode what any projection reads; the rest is passed over unseen."""
        wanted = [r for r in records if r.headers.get("ce_type", b"") in self._wanted]
        await self._patiently(self._keys.load, {p for record in wanted for p in record.persons()})
        decoded = []
        dead = 0
        for record in records:
            stored_name = record.headers.get("ce_type")
            if stored_name is not None and stored_name not in self._wanted:
                continue
            try:
                decoded.append((record, decode(record, self._keys)))
            except LogError as error:
                dead += 1
                await self._bury(record, self.name, error)
        self._check_cap(len(records), dead)
        return decoded

    async def _move(
        self,
        projection: Projection,
        batch: Batch,
        decoded: Sequence[tuple[LogRecord, Recorded]],
    ) -> Move:
        before = self._positions.get((projection.name, batch.source), 0)
        changes: list[Change] = []
        dead = 0
        for record, recorded in decoded:
            if record.offset < before or type(recorded.event) not in projection.events:
                continue
            try:
                changes.extend(projection.evolve(recorded))
            except Exception as error:  # noqa: BLE001 - whatever a read model chokes on
                dead += 1
                await self._bury(record, projection.name, error)
        self._check_cap(len(decoded), dead)
        return Move(projection, before, max(before, batch.ends), changes)

    async def _bury(self, record: LogRecord, reader: str, error: BaseException) -> None:
        log.error(
            "dead_letter",
            reader=reader,
            topic=record.source.topic,
            partition=record.source.partition,
            offset=record.offset,
            reason=f"{type(error).__name__}: {error}"[:500],
        )
        await self._patiently(self._dead_letters.put, record, reader, error)

    def _check_cap(self, read: int, dead: int) -> None:
        share = self._share.count(read, dead)
        if share > self._cap:
            raise TooManyDeadLetters(
                f"{share:.0%} of the records are dead letters, over the cap of {self._cap:.0%}"
            )

    async def _patiently(self, call: Any, *arguments: Any) -> Any:
        """Call until the store answers, waiting longer each time."""
        wait_s = _FIRST_RETRY_S
        while True:
            try:
                return await call(*arguments)
            except StoreUnavailable as error:
                log.warning("store_unavailable", reader=self.name, reason=str(error))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LAST_RETRY_S)


def _wanted(projections: Sequence[Projection]) -> frozenset[bytes]:
    """Return the stored names, old versions included, of the events that projections read."""
    return frozenset(
        f"{event.name}.v{version}".encode()
        for projection in projections
        for event in projection.events
        for version in range(1, event.version + 1)
    )
