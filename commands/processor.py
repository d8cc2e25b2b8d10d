"""The command processor: the one writer of each partition that it owns.

It takes whatever commands wait, decides them on the state at the end of the log, and appends
their events, their outcomes and the fact that they were consumed in one Kafka transaction. Where
that fails nothing happened, and it starts anew from the log. While more wait than one transaction
holds, the next batch is decided while the one before is being appended.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from commands.aggregate import Aggregate, StreamState
from commands.cache import PartitionCache
from commands.envelope import CommandEnvelope, outcome_record, read_command
from commands.ports import (
    Claims,
    CommandLog,
    DomainPartition,
    Outgoing,
    Poll,
    StaleCacheError,
    StateStore,
    TransactionLostError,
)
from commands.router import Router
from commands.working import Working
from events import clock
from events.base import Event, Metadata
from events.codec import LogRecord, encode_body, event_headers
from events.deadletters import dead_letter_headers
from events.errors import Conflict, DomainError, FieldError, UndecodableRecord, Unprocessable
from events.outcomes import CommandDecided, Position, Refusal
from events.privacy import KeyRing, persons
from schemas.catalogue import DEAD_LETTERS, REPLIES, domain_named

log = structlog.get_logger(__name__)

#: How far the state cache in the store may lag behind the memory: what a restart reads again.
SAVE_INTERVAL_S = 0.5
#: The name under which undecodable commands are dead-lettered.
READER = "commands"


@dataclass(slots=True)
class Decision:
    """A command with what follows from it; ``replayed`` where it had been decided before."""

    envelope: CommandEnvelope
    outcome: CommandDecided
    events: list[tuple[Event, Metadata]] = field(default_factory=list)
    replayed: bool = False


class CommandProcessor:
    """Decides commands; ``run`` until ``stop``."""

    def __init__(
        self,
        command_log: CommandLog,
        store: StateStore,
        claims: Claims,
        keys: KeyRing,
        router: Router,
    ) -> None:
        self._log = command_log
        self._store = store
        self._claims = claims
        self._keys = keys
        self._router = router
        self._caches: dict[DomainPartition, PartitionCache] = {}
        self._stopping = asyncio.Event()
        #: The batch whose transaction was begun last, and that transaction.
        self._begun: Working | None = None
        self._appending: asyncio.Task[None] | None = None
        self.decided = 0

    def stop(self) -> None:
        """Finish the batch at hand and return from ``run``."""
        self._stopping.set()

    async def run(self) -> None:
        """Decide until stopped.

        Raises:
            TransactionLostError: a transaction failed; start anew with fresh connections.
        """
        saving = asyncio.create_task(self._save_for_ever())
        try:
            while not self._stopping.is_set():
                if saving.done():
                    saving.result()
                poll = await self._log.poll()
                if poll.assigned or poll.revoked or not poll.records:
                    await self._appended()
                for partition in poll.revoked:
                    self._caches.pop(partition, None)
                if poll.assigned:
                    await self._take_over(poll.assigned)
                if poll.records:
                    await self._decide_batch(poll)
            await self._appended()
        finally:
            tasks = [saving] if self._appending is None else [saving, self._appending]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._log.close()
        await self._save()

    async def _take_over(self, partitions: Sequence[DomainPartition]) -> None:
        """Catch states up to the end of the log; let the commands of each in when it is there."""
        caches = {p: PartitionCache(p, self._store, self._router) for p in partitions}
        for cache in caches.values():
            await cache.open()
        positions = {partition: cache.position for partition, cache in caches.items()}
        async for piece in self._log.read_to_end(positions):
            cache = caches[piece.partition]
            await self._keys.load({p for record in piece.events for p in record.persons()})
            await cache.fold(piece, self._keys)
            await cache.save()
            if piece.ends:
                self._caches[piece.partition] = cache
                await self._log.open(piece.partition)
        log.info("partitions_taken_over", partitions=[f"{p.domain}-{p.partition}" for p in caches])

    async def _save_for_ever(self) -> None:
        """Let the store follow at its own pace: what it lacks is caught up from the log."""
        while True:
            await asyncio.sleep(SAVE_INTERVAL_S)
            await self._save()

    async def _save(self) -> None:
        for partition, cache in list(self._caches.items()):
            try:
                await cache.save()
            except StaleCacheError:
                raise TransactionLostError(
                    f"another owner wrote the state of {partition}"
                ) from None

    async def _decide_batch(self, poll: Poll) -> None:
        records = [(domain_partition(record), record) for record in poll.records]
        if strays := [partition for partition, _ in records if partition not in self._caches]:
            raise TransactionLostError(f"commands of {strays[0]} came, which was not taken over")
        envelopes, undecodable = await self._read(records)
        await self._prefetch(envelopes)
        working = Working(self._caches, self._log, self._begun)
        decisions = [
            await self._decide(envelope, partition, working) for partition, envelope in envelopes
        ]
        consumed = {partition: record.offset + 1 for partition, record in records}
        outgoing = [*await self._outgoing(decisions), *undecodable]
        await self._appended()
        appended = self._log.append(outgoing, consumed)
        self._begun = working
        self._appending = asyncio.create_task(self._commit(appended, working, len(decisions)))
        if not poll.more:
            await self._appended()

    async def _appended(self) -> None:
        """Wait until what was decided stands in the log."""
        if self._appending is not None:
            await self._appending
            self._begun = self._appending = None

    async def _read(
        self, records: Sequence[tuple[DomainPartition, LogRecord]]
    ) -> tuple[list[tuple[DomainPartition, CommandEnvelope]], list[Outgoing]]:
        """Return the commands in the records, and a dead letter for what is none."""
        await self._keys.load({person for _, record in records for person in record.persons()})
        envelopes, undecodable = [], []
        for partition, record in records:
            try:
                envelope = read_command(record, self._router.command_types, self._keys)
            except UndecodableRecord as error:
                log.exception("undecodable_command", topic=record.source.topic)
                undecodable.append(_dead_letter(record, error))
            else:
                envelopes.append((partition, envelope))
        return envelopes, undecodable

    async def _prefetch(self, envelopes: Sequence[tuple[DomainPartition, CommandEnvelope]]) -> None:
        streams: dict[DomainPartition, dict[str, Aggregate[Any]]] = defaultdict(dict)
        repeatable: dict[DomainPartition, list[str]] = defaultdict(list)
        for partition, envelope in envelopes:
            command = envelope.command
            streams[partition][command.stream()] = self._router.for_command(command)
            if envelope.repeatable:
                repeatable[partition].append(envelope.command_id)
        for partition, wanted in streams.items():
            await self._caches[partition].prefetch(wanted, repeatable[partition])

    async def _decide(
        self, envelope: CommandEnvelope, partition: DomainPartition, working: Working
    ) -> Decision:
        first = working.outcome(partition, envelope.command_id)
        if first is not None:
            return _repeat(envelope, first)
        aggregate = self._router.for_command(envelope.command)
        current = working.state(partition, envelope.command.stream())
        try:
            events = aggregate.decide(envelope.command, current.state)
            if events:
                await self._claim(envelope, aggregate)
        except DomainError as refusal:
            position = working.position(partition, 0)
            decision = _refused(envelope, position, current, refusal)
        else:
            position = working.position(partition, len(events))
            decision, state = _accepted(envelope, position, aggregate, current, events)
            working.put_state(partition, envelope.command.stream(), state)
        working.put_outcome(partition, decision.outcome)
        return decision

    async def _claim(self, envelope: CommandEnvelope, aggregate: Aggregate[Any]) -> None:
        values = aggregate.unique(envelope.command)
        if not values:
            return
        taken = await self._claims.take(envelope.command_id, values)
        if taken:
            raise Conflict(
                "Already taken",
                code="ALREADY_TAKEN",
                details=[FieldError(kind, "is already taken") for kind in taken],
            )

    async def _outgoing(self, decisions: Sequence[Decision]) -> list[Outgoing]:
        await self._keys.load({who for d in decisions for e, _ in d.events for who in persons(e)})
        events = [record for d in decisions for record in self._event_records(d)]
        return events + [record for d in decisions for record in _outcome_records(d)]

    async def _commit(
        self,
        appended: Awaitable[Mapping[tuple[str, int], int]],
        working: Working,
        decided: int,
    ) -> None:
        for (topic, partition), offset in (await appended).items():
            kind, _, domain = topic.partition(".")
            cache = self._caches.get(DomainPartition(domain, partition))
            if cache is not None and kind == "events":
                cache.advance(events_next=offset + 1, last_event=offset)
            elif cache is not None and kind == "outcomes":
                cache.advance(outcomes_next=offset + 1)
        working.commit()
        self.decided += decided

    def _event_records(self, decision: Decision) -> list[Outgoing]:
        place = decision.outcome.position
        topic = domain_named(place.domain).events
        key = decision.envelope.command.key()
        return [
            Outgoing(
                topic,
                place.partition,
                key,
                encode_body(event, self._keys),
                event_headers(event, metadata),
            )
            for event, metadata in decision.events
        ]


def domain_partition(record: LogRecord) -> DomainPartition:
    """Return the partition of a domain that a record of its topics belongs to."""
    return DomainPartition(record.source.topic.split(".", 1)[1], record.source.partition)


def _outcome(
    envelope: CommandEnvelope, position: Position, version: int, **parts: Any
) -> CommandDecided:
    return CommandDecided(
        command_id=envelope.command_id,
        command_type=envelope.command.stored_name(),
        fingerprint=envelope.fingerprint,
        stream=envelope.command.stream(),
        stream_version=version,
        position=position,
        time=envelope.time,
        actor_id=envelope.actor_id,
        **parts,
    )


def _refused(
    envelope: CommandEnvelope,
    position: Position,
    current: StreamState,
    refusal: DomainError,
) -> Decision:
    outcome = _outcome(
        envelope,
        position,
        current.version,
        event_count=0,
        answer={},
        refusal=Refusal.of(refusal),
    )
    return Decision(envelope, outcome)


def _accepted(
    envelope: CommandEnvelope,
    position: Position,
    aggregate: Aggregate[Any],
    current: StreamState,
    events: Sequence[Event],
) -> tuple[Decision, StreamState]:
    recorded = []
    stream = envelope.command.stream()
    for event in events:
        state = aggregate.evolve(current.state, event)
        current = StreamState(current.version + 1, state)
        recorded.append((event, _metadata(envelope, event, stream, current.version)))
    outcome = _outcome(
        envelope,
        position,
        current.version,
        event_count=len(recorded),
        answer=aggregate.answer(envelope.command, current.state),
        refusal=None,
    )
    return Decision(envelope, outcome, recorded), current


def _metadata(envelope: CommandEnvelope, event: Event, stream: str, version: int) -> Metadata:
    """An event's id is made from its command's: deciding the command again makes the same id."""
    return Metadata(
        event_id=clock.id_from(envelope.command_id, stream, str(version)),
        stored_name=event.stored_name(),
        stream=stream,
        stream_version=version,
        time=envelope.time,
        command_id=envelope.command_id,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.command_id,
        actor_id=envelope.actor_id,
        traceparent=envelope.traceparent,
    )


def _repeat(envelope: CommandEnvelope, first: CommandDecided) -> Decision:
    """The first outcome again, unless the id now comes with another request."""
    if first.fingerprint != envelope.fingerprint:
        refusal = Unprocessable(
            "The idempotency key was used for another request", code="IDEMPOTENCY_KEY_REUSED"
        )
        first = first.model_copy(update={"answer": {}, "refusal": Refusal.of(refusal)})
    return Decision(envelope, first, replayed=True)


def _outcome_records(decision: Decision) -> list[Outgoing]:
    """The outcome for the record (once), and for whoever waits for it."""
    body, headers = outcome_record(decision.outcome)
    key = decision.envelope.command.key()
    records = []
    if not decision.replayed:
        place = decision.outcome.position
        topic = domain_named(place.domain).outcomes
        records.append(Outgoing(topic, place.partition, key, body, headers))
    if decision.envelope.reply_to is not None:
        records.append(Outgoing(REPLIES, decision.envelope.reply_to, key, body, headers))
    return records


def _dead_letter(record: LogRecord, error: Exception) -> Outgoing:
    headers = dead_letter_headers(record, READER, error)
    return Outgoing(DEAD_LETTERS, record.source.partition, record.key, record.value, headers)
