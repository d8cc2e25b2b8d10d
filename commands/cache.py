"""The state of one partition as its owner knows it: a fold of the log, in memory over a store."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

import structlog

from commands.aggregate import Aggregate, StreamState
from commands.envelope import read_outcome
from commands.ports import CachePosition, CaughtUp, DomainPartition, StateStore, StoredState
from commands.router import Router
from events.base import Event, Metadata
from events.codec import LogRecord, decode_events, decode_metadata
from events.errors import UndecodableRecord
from events.outcomes import CommandDecided
from events.privacy import KeyRing

log = structlog.get_logger(__name__)

#: Streams and outcomes that one partition keeps in memory; the rest is a query away.
MEMORY_ENTRIES = 50_000


class PartitionCache:
    """States and outcomes of a partition; ``position`` is how far it has folded the log.

    What changed since the last ``save`` stays in memory until the store has it.
    """

    def __init__(self, partition: DomainPartition, store: StateStore, router: Router) -> None:
        self.partition = partition
        self.position = CachePosition()
        self._store = store
        self._router = router
        self._saved = CachePosition()
        self._states: OrderedDict[str, StreamState] = OrderedDict()
        self._outcomes: OrderedDict[str, CommandDecided] = OrderedDict()
        self._changed_states: dict[str, StreamState] = {}
        self._changed_outcomes: dict[str, CommandDecided] = {}

    async def open(self) -> None:
        """Start from where the store stands."""
        self._saved = self.position = await self._store.position(self.partition)

    async def prefetch(
        self, streams: Mapping[str, Aggregate[Any]], command_ids: Collection[str]
    ) -> None:
        """Bring the named streams and outcomes into memory, as the last to be forgotten."""
        missing = [stream for stream in streams if stream not in self._states]
        unknown = [command_id for command_id in command_ids if command_id not in self._outcomes]
        for stream in streams.keys() - set(missing):
            self._states.move_to_end(stream)
        for command_id in set(command_ids).difference(unknown):
            self._outcomes.move_to_end(command_id)
        if missing:
            stored = await self._store.load(self.partition, missing)
            for stream in missing:
                # A batch may have been committed meanwhile; it knows better.
                self._states.setdefault(stream, _revive(streams[stream], stored.get(stream)))
        if unknown:
            for command_id, body in (await self._store.outcomes(self.partition, unknown)).items():
                self._outcomes.setdefault(command_id, read_outcome(body))

    def state(self, stream: str) -> StreamState:
        """Return the state of a prefetched stream."""
        return self._states[stream]

    def outcome(self, command_id: str) -> CommandDecided | None:
        """Return what became of a prefetched command, or None when it was never decided."""
        return self._outcomes.get(command_id)

    def put_state(self, stream: str, state: StreamState) -> None:
        self._states[stream] = self._changed_states[stream] = state

    def put_outcome(self, outcome: CommandDecided) -> None:
        if outcome.fingerprint:
            self._outcomes[outcome.command_id] = outcome
            self._changed_outcomes[outcome.command_id] = outcome

    async def fold(self, piece: CaughtUp, keys: KeyRing) -> None:
        """Take in a piece of the log that this process did not write itself."""
        events = piece.events
        decoded = [each for record in events for each in _events_of(record, keys)]
        await self.prefetch(
            {meta.stream: self._router.for_event(event) for event, meta in decoded}, ()
        )
        for event, meta in decoded:
            self._fold_event(event, meta.stream, meta.stream_version)
        if events:
            last = events[-1].offset
            self.advance(events_next=last + 1, last_event=last)
        for record in piece.outcomes:
            self.put_outcome(read_outcome(record.value))
            self.advance(outcomes_next=record.offset + 1)
        if piece.ends:
            self._reached(*piece.ends)

    def _fold_event(self, event: Event, stream: str, version: int) -> None:
        aggregate = self._router.for_event(event)
        state = aggregate.evolve(self.state(stream).state, event)
        self.put_state(stream, StreamState(version, state))

    def advance(
        self,
        *,
        events_next: int | None = None,
        outcomes_next: int | None = None,
        last_event: int | None = None,
    ) -> None:
        """Move the position on; what is not named stays."""
        now = self.position
        self.position = CachePosition(
            now.events_next if events_next is None else events_next,
            now.outcomes_next if outcomes_next is None else outcomes_next,
            now.last_event if last_event is None else last_event,
        )

    def _reached(self, events_end: int, outcomes_end: int) -> None:
        """Note that nothing is left below these offsets, where markers may stand."""
        now = self.position
        self.advance(
            events_next=max(now.events_next, events_end),
            outcomes_next=max(now.outcomes_next, outcomes_end),
        )

    async def save(self) -> None:
        """Write what changed to the store, in one step with the position.

        Raises:
            StaleCacheError: another owner wrote in between.
        """
        if self.position == self._saved:
            return
        states, self._changed_states = self._changed_states, {}
        outcomes, self._changed_outcomes = self._changed_outcomes, {}
        before, after = self._saved, self.position
        try:
            await self._store.save(
                self.partition,
                before,
                after,
                {name: _stored(state) for name, state in states.items()},
                {name: outcome.model_dump_json().encode() for name, outcome in outcomes.items()},
            )
        except BaseException:
            # Whatever interrupted it: the next save must not move past what was not written.
            self._changed_states = {**states, **self._changed_states}
            self._changed_outcomes = {**outcomes, **self._changed_outcomes}
            raise
        self._saved = after
        self._trim()

    def _trim(self) -> None:
        for memory, changed in (
            (self._states, self._changed_states),
            (self._outcomes, self._changed_outcomes),
        ):
            while len(memory) > MEMORY_ENTRIES and next(iter(memory)) not in changed:
                memory.popitem(last=False)


def _stored(state: StreamState) -> StoredState:
    return StoredState(state.version, state.state.model_dump_json().encode())


def _events_of(record: LogRecord, keys: KeyRing) -> list[tuple[Event, Metadata]]:
    """Return the events in a record, none where it never was one.

    Raises:
        UndecodableRecord, UnknownEventType: it belongs to a stream, whose state nobody knows then.
    """
    try:
        metadata = decode_metadata(record.headers)
    except UndecodableRecord as error:
        topic, partition = record.source
        log.warning(
            "no_event",
            topic=topic,
            partition=partition,
            offset=record.offset,
            reason=error.message,
        )
        return []
    return [(event, metadata) for event in decode_events(record, keys)]


def _revive(aggregate: Aggregate[Any], stored: StoredState | None) -> StreamState:
    if stored is None:
        return StreamState(0, aggregate.initial)
    return StreamState(stored.version, type(aggregate.initial).model_validate_json(stored.body))
