"""Running reactions: work that follows from an event, once, in its partition's order.

Reactions are side effects, so replays and rebuilds never reach them: they have positions of their
own and read the log once. What a reaction does must be the same when it is done twice, because a
crash between the deed and the position makes it do so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from events.base import Event, Recorded, TopicPartition
from events.codec import LogRecord, decode_all
from events.errors import LogError, Unavailable
from events.privacy import KeyRing
from events.registry import REGISTRY
from processors.ports import ReactionPositions
from projections.batches import Batch
from projections.ports import DeadLetters

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Records of the rule's events that wait in memory for each partition while a long reaction runs;
#: what else comes meanwhile, such as word of that very reaction's progress, takes no room.
_WAITING_RECORDS = 5_000
#: Tries before an event is dead-lettered, with exponential back-off between them (SH-07).
MAX_TRIES = 3
FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 30.0
#: Nobody waits for a rule by the millisecond.
PACE_S = 0.1


@dataclass(frozen=True, slots=True)
class Reaction:
    """A rule: when one of these events happened, do this. Its name is its identity."""

    name: str
    events: tuple[type[Event], ...]
    react: Callable[[Recorded], Awaitable[None]]
    concurrency: int = 1


class ReactionReader:
    """Implements ``projections.batches.BatchReader`` for one reaction.

    Partitions are worked on side by side, up to the reaction's concurrency; the events of one
    partition in their order.
    """

    def __init__(
        self,
        reaction: Reaction,
        positions: ReactionPositions,
        keys: KeyRing,
        dead_letters: DeadLetters,
    ) -> None:
        self.name = reaction.name
        self.pace_s = PACE_S
        self._reaction = reaction
        self._stored_names = REGISTRY.stored_names(reaction.events)
        self._names = {event.name for event in reaction.events}
        self._store = positions
        self._keys = keys
        self._dead_letters = dead_letters
        self._running = asyncio.Semaphore(reaction.concurrency)
        self._lanes: dict[TopicPartition, _Lane] = {}

    def topics(self) -> frozenset[str]:
        return frozenset(f"events.{event.domain}" for event in self._reaction.events)

    async def start(self) -> None:
        """Nothing needs to be prepared."""

    async def assign(self, sources: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Keep working on what stays; start what is new where the store says."""
        wanted = set(sources)
        for source in self._lanes.keys() - wanted:
            await self._lanes.pop(source).stop()
        new = wanted - self._lanes.keys()
        stored = await patiently(lambda: self._store.load(self.name)) if new else {}
        for source in new:
            self._lanes[source] = _Lane(self, source, stored.get(source, 0))
        return {source: self._lanes[source].received for source in wanted}

    async def apply(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            lane = self._lanes.get(batch.source)
            if lane is not None:
                await lane.put(batch)

    def position(self, source: TopicPartition) -> int:
        lane = self._lanes.get(source)
        return lane.position if lane is not None else 0

    def received(self, source: TopicPartition) -> int:
        lane = self._lanes.get(source)
        return lane.received if lane is not None else 0

    async def remember(self) -> None:
        """Note again what the store forgot, as one that was restored from a backup has.

        Raises:
            StoreUnavailable: nobody knows what it has.
        """
        stored = await self._store.load(self.name)
        for source, lane in list(self._lanes.items()):
            if stored.get(source, 0) < lane.position:
                await self._store.save(self.name, source, lane.position)

    async def stop(self) -> None:
        """Cancel what runs; it starts again from its position."""
        for source in list(self._lanes):
            await self._lanes.pop(source).stop()

    async def deal_with(self, record: LogRecord) -> None:
        """React to a record, and note it."""
        async with self._running:
            await self._react(record)
        await self.save(record.source, record.offset + 1)

    def concerns(self, record: LogRecord) -> bool:
        """Say whether a record may hold an event of the rule, in whatever version."""
        stored_name = record.headers.get("ce_type", b"").decode("utf-8", "replace")
        return stored_name in self._stored_names or stored_name.rpartition(".v")[0] in self._names

    async def save(self, source: TopicPartition, position: int) -> None:
        """Note how far a partition was dealt with."""
        await patiently(lambda: self._store.save(self.name, source, position))

    async def _react(self, record: LogRecord) -> None:
        for attempt in range(1, MAX_TRIES + 1):
            try:
                await patiently(lambda: self._keys.load(record.persons()))
                for recorded in decode_all(record, self._keys):
                    await patiently(partial(self._reaction.react, recorded))
            except LogError as error:
                await self._bury(record, error)
                return
            except Exception as error:
                log.exception("reaction_failed", reaction=self.name, attempt=attempt)
                if attempt == MAX_TRIES:
                    await self._bury(record, error)
                    return
                await asyncio.sleep(FIRST_RETRY_S * 2 ** (attempt - 1))
            else:
                return

    async def _bury(self, record: LogRecord, error: BaseException) -> None:
        await patiently(lambda: self._dead_letters.put(record, self.name, error))


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Call for as long as a server is away, waiting longer each time."""
    wait_s = FIRST_RETRY_S / 4
    while True:
        try:
            return await call()
        except Unavailable as error:
            log.warning("unavailable", reason=error.message)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LAST_RETRY_S)


class _Lane:
    """One partition's queue and the task that works it off.

    Whoever hands over is not held up by a long reaction: other partitions go on meanwhile, and
    nobody takes the worker for one that stalls.
    """

    def __init__(self, reader: ReactionReader, source: TopicPartition, position: int) -> None:
        self.position = self.received = position
        self._reader = reader
        self._source = source
        self._queue: asyncio.Queue[LogRecord | None] = asyncio.Queue(_WAITING_RECORDS)
        self._task = asyncio.create_task(self._work())

    async def put(self, batch: Batch) -> None:
        if self._task.done():
            self._task.result()
        for record in batch.records:
            if record.offset >= self.received and self._reader.concerns(record):
                await self._queue.put(record)
        self.received = max(self.received, batch.ends)
        if self._queue.empty():
            self._queue.put_nowait(None)

    async def _work(self) -> None:
        while True:
            record = await self._queue.get()
            if record is not None:
                await self._reader.deal_with(record)
                self.position = record.offset + 1
            dealt_with = self.received
            if self._queue.empty() and self.position < dealt_with:
                await self._reader.save(self._source, dealt_with)
                self.position = dealt_with

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
