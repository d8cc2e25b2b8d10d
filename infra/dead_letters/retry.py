"""Applying a dead letter again, by the code of today, once.

A projection gets what it missed straight into its store: the step's position is a place of its
own, named after the record, that goes from 0 to 1 and never again. A reaction is run again, and a
command is put back into its topic: the ids of commands see to it that nothing happens twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from events.base import Recorded, TopicPartition
from events.codec import LogRecord, decode_all
from events.deadletters import DeadLetter
from events.errors import Conflict, LogError, StreamHubError
from infra.bootstrap.core import Core
from infra.bootstrap.reactions import REACTION_KINDS, reaction_named
from infra.dead_letters.order import settle
from infra.dead_letters.topic import LetterTopic, records_between
from infra.kafka.bus import KafkaCommandBus
from projections.declaration import Change, Projection, Store
from projections.ports import Move, PositionMoved, Sink, Step
from projections.registry import PROJECTIONS

#: The reader name of the command processor.
COMMANDS = "commands"
_STORE_READER = "projections-"
OLDER_LETTER_OPEN = "OLDER_LETTER_OPEN"
#: A reader that is being fed moves on between a look at its position and the step.
_TRIES = 20
_MOMENT_S = 0.05


class Applied(StrEnum):
    """What a retry came to for one reader."""

    APPLIED = "applied"
    ALREADY = "applied before"
    NOT_READ = "not read by it"
    OVERTAKEN = "applied, and overtaken meanwhile: rebuild it"


class UnknownReader(StreamHubError):
    """The reader of a dead letter does not exist any more."""

    code = "UNKNOWN_READER"


class StillIndigestible(StreamHubError):
    """The code of today cannot digest the record either."""

    code = "STILL_INDIGESTIBLE"


def own_place(letter: DeadLetter) -> TopicPartition:
    """Return the place under which stores know that a record was applied late."""
    source = letter.record.source
    return TopicPartition(
        f"deadletters/{source.topic}/{source.partition}/{letter.record.offset}", 0
    )


@dataclass(frozen=True, slots=True)
class Retry:
    """Retries letters of one topic of dead letters."""

    core: Core
    letters: LetterTopic
    #: Where builds stood; what was applied late since is known by the step, which is refused.
    _read: dict[tuple[str, str], Mapping[TopicPartition, int]] = field(default_factory=dict)
    #: What was read of keys already: from where to where, and the records.
    _known: dict[tuple[TopicPartition, str], tuple[int, int, list[LogRecord]]] = field(
        default_factory=dict
    )

    async def apply(self, letter: DeadLetter) -> dict[str, Applied]:
        """Apply a letter; return what it came to, by reader. The letter itself stays open.

        Raises:
            Conflict: an older letter of the same key is open, or the reader is not there yet.
            StillIndigestible: it fails again; nothing was applied where it failed.
            UnknownReader, Unavailable.
        """
        older = self.letters.older_open(letter)
        if older is not None:
            raise Conflict(
                f"{older.id} is older and of the same key: retry or discard it first",
                code=OLDER_LETTER_OPEN,
            )
        if letter.reader == COMMANDS:
            return await self._send_again(letter)
        if letter.reader in REACTION_KINDS:
            return await self._react_again(letter)
        return await self._project_again(letter)

    async def _send_again(self, letter: DeadLetter) -> dict[str, Applied]:
        """Put the command back: its id is decided once, however often it comes."""
        record = letter.record
        headers = dict(record.headers)
        # Only of commands with a fingerprint is the outcome remembered by id.
        headers.setdefault("fingerprint", b"deadletter")
        headers.pop("reply_to", None)
        await self.letters.append(record.source, record.key, record.value, [*headers.items()])
        return {COMMANDS: Applied.APPLIED}

    async def _react_again(self, letter: DeadLetter) -> dict[str, Applied]:
        recorded = await self._decode(letter)
        core = self.core
        bus = KafkaCommandBus(core.places.kafka, core.keys, core.settings.command_timeout_seconds)
        await bus.start()
        try:
            reaction = reaction_named(letter.reader, core, bus)
            for each in recorded:
                await reaction.react(each)
        except StreamHubError:
            raise
        except Exception as error:
            raise StillIndigestible(f"{letter.reader}: {type(error).__name__}") from error
        finally:
            await bus.stop()
        return {letter.reader: Applied.APPLIED}

    async def _project_again(self, letter: DeadLetter) -> dict[str, Applied]:
        projections = await self.core.builds.seen(_projections(letter))
        recorded = await self._decode(letter)
        outcome = {}
        for projection in projections:
            wanted = [each for each in recorded if type(each.event) in projection.events]
            outcome[projection.name] = (
                await self._project(projection, letter, wanted) if wanted else Applied.NOT_READ
            )
        return outcome

    async def _decode(self, letter: DeadLetter) -> list[Recorded]:
        await self.core.keys.load(letter.record.persons())
        try:
            return decode_all(letter.record, self.core.keys)
        except LogError as error:
            raise StillIndigestible(error.message) from error

    async def _project(
        self, projection: Projection, letter: DeadLetter, recorded: Sequence[Recorded]
    ) -> Applied:
        if projection.name in letter.parked:
            return await self._release(projection, letter, recorded)
        for _ in range(_TRIES):
            reached, late = await self._standing(projection, letter)
            if late:
                return Applied.ALREADY
            changes = await self._changes(projection, letter, recorded, reached)
            # In one transaction where there are any: the reader cannot move on before it has ended.
            guard = Step(letter.record.source, [Move(projection, reached, reached, ())])
            guards = [guard] if projection.store is Store.POSTGRES else []
            if await self._applied(projection, letter, changes, guards):
                return await self._look_back(projection, letter, recorded, changes)
        raise Conflict(f"{projection.name} is being read too fast; try again", code="READER_BUSY")

    async def _release(
        self, projection: Projection, letter: DeadLetter, recorded: Sequence[Recorded]
    ) -> Applied:
        """Apply what waits in its turn: nothing of its key can have been applied behind it."""
        build = (projection.name, projection.tag)
        if build not in self._read:
            self._read[build] = await self._positions(projection)
        _, late = await self._standing(projection, letter, self._read[build])
        # Where its key does not wait, a build that was made since has digested it.
        if late or not await self.core.parking.holds(projection, letter):
            return Applied.ALREADY
        if await self._applied(projection, letter, _evolved(projection, recorded), []):
            return Applied.APPLIED
        return Applied.ALREADY

    async def _standing(
        self,
        projection: Projection,
        letter: DeadLetter,
        known: Mapping[TopicPartition, int] | None = None,
    ) -> tuple[int, bool]:
        """Return how far a projection has read, and whether it has applied the record late.

        Raises:
            Conflict: it has not read the record yet.
        """
        positions = known or await self._positions(projection)
        for _ in range(_TRIES):
            reached = positions.get(letter.record.source, 0)
            if reached > letter.record.offset:
                return reached, positions.get(own_place(letter), 0) > 0
            # A letter is written a moment before the position moves over its record.
            await asyncio.sleep(0.0 if positions is known else _MOMENT_S)
            positions = await self._positions(projection)
        raise Conflict(f"{projection.name} has not come as far as the record", code="NOT_READ_YET")

    async def _positions(self, projection: Projection) -> Mapping[TopicPartition, int]:
        stored = await self._sink(projection).positions([projection])
        return stored.get(projection.name, {})

    def _sink(self, projection: Projection) -> Sink:
        return next(sink for sink in self.core.sinks if sink.store is projection.store)

    async def _applied(
        self,
        projection: Projection,
        letter: DeadLetter,
        changes: Sequence[Change],
        guards: Sequence[Step],
    ) -> bool:
        """Apply changes late, in a step of their own; False if a position was elsewhere.

        Raises:
            StillIndigestible: the store refuses them.
        """
        late = Step(own_place(letter), [Move(projection, 0, 1, changes)])
        try:
            await self._sink(projection).apply([*guards, late])
        except PositionMoved:
            return False
        except StreamHubError:
            raise
        except Exception as error:
            raise StillIndigestible(f"{projection.name}: {type(error).__name__}") from error
        return True

    async def _changes(
        self, projection: Projection, letter: DeadLetter, recorded: Sequence[Recorded], reached: int
    ) -> list[Change]:
        """Return what the record still has to change behind everything that was applied since."""
        late = _evolved(projection, recorded)
        since = await self._applied_since(projection, letter, reached)
        return settle(late, [c for each in since for c in projection.evolve(each)])

    async def _applied_since(
        self, projection: Projection, letter: DeadLetter, reached: int
    ) -> Sequence[Recorded]:
        """Return the events of the record's key that the projection has applied behind it."""
        source, key = letter.record.source, letter.record.key
        missed = self.letters.never_applied(
            projection.name, f"{_STORE_READER}{projection.store}", key
        )
        buried = {origin.offset for origin in missed if origin.source == source}
        records = await self._records(source, letter.record.offset + 1, reached, key)
        await self.core.keys.load({person for record in records for person in record.persons()})
        events: list[Recorded] = []
        for record in records:
            if record.offset in buried:
                continue
            try:
                found = decode_all(record, self.core.keys)
            except LogError:
                continue
            events += [each for each in found if type(each.event) in projection.events]
        return events

    async def _records(
        self, source: TopicPartition, begins: int, ends: int, key: str
    ) -> Sequence[LogRecord]:
        """Return the records of a key in a part of a partition, each read once."""
        first, last, records = self._known.get((source, key), (begins, begins, []))
        if begins < first:
            first, last, records = begins, begins, []
        if last < ends:
            records += await records_between(self.core.places.kafka, source, last, ends, key)
            last = ends
        self._known[source, key] = (first, last, records)
        return [record for record in records if begins <= record.offset < ends]

    async def _look_back(
        self,
        projection: Projection,
        letter: DeadLetter,
        recorded: Sequence[Recorded],
        changes: Sequence[Change],
    ) -> Applied:
        """Say whether events that came in the same moment changed what was applied.

        PostgreSQL locks the position meanwhile; the other stores cannot.
        """
        reached, _ = await self._standing(projection, letter)
        same = await self._changes(projection, letter, recorded, reached) == list(changes)
        return Applied.APPLIED if same else Applied.OVERTAKEN


def _projections(letter: DeadLetter) -> Sequence[Projection]:
    """Return the projections that missed the record."""
    name, topic = letter.reader, letter.record.source.topic
    stores = {f"{_STORE_READER}{store}": store for store in Store}
    chosen = [
        projection
        for projection in PROJECTIONS
        if topic in projection.topics()
        and (
            projection.name == name
            or projection.name in letter.parked
            or (name in stores and projection.store is stores[name])
        )
    ]
    if not chosen:
        raise UnknownReader(f"nothing reads {topic} under the name '{name}' any more")
    return chosen


def _evolved(projection: Projection, recorded: Sequence[Recorded]) -> list[Change]:
    """Return what a projection makes of events.

    Raises:
        StillIndigestible: nothing.
    """
    try:
        return [change for each in recorded for change in projection.evolve(each)]
    except Exception as error:
        raise StillIndigestible(f"{projection.name}: {type(error).__name__}") from error
