"""A command processor at work: commands in, then what stands in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime

from commands.envelope import CommandEnvelope, command_record, read_outcome
from commands.processor import CommandProcessor
from commands.router import ROUTER, Router
from events import clock
from events.base import Command, Recorded
from events.codec import decode
from events.outcomes import CommandDecided
from events.privacy import persons
from schemas.catalogue import DOMAINS, REPLIES
from tests.unit.commands.memory import (
    MemoryBroker,
    MemoryClaims,
    MemoryCommandLog,
    MemoryStateStore,
)
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, CLEO, NOW

ALL = tuple(domain.name for domain in DOMAINS)
_DEADLINE_S = 20.0


class Site:
    """The log and the stores, which outlive the processors that work on them."""

    def __init__(
        self, *, domains: Collection[str] = ALL, batch: int = 100, router: Router = ROUTER
    ) -> None:
        self.broker = MemoryBroker()
        self.store = MemoryStateStore()
        self.claims = MemoryClaims()
        self.keys = MemoryKeyRing.loaded(ADA, BEN, CLEO)
        self.domains = domains
        self.batch = batch
        self.router = router

    def send(
        self,
        command: Command,
        command_id: str = "",
        *,
        fingerprint: str = "",
        reply_to: int | None = None,
        actor_id: str | None = ADA,
        at: datetime = NOW,
    ) -> str:
        """Append a command; return its id. A fingerprint makes it one that may come again."""
        command_id = command_id or clock.new_id()
        envelope = CommandEnvelope(
            command=command,
            command_id=command_id,
            time=at,
            correlation_id=command_id,
            causation_id=command_id,
            fingerprint=fingerprint,
            actor_id=actor_id,
            reply_to=reply_to,
        )
        assert all(person in (ADA, BEN, CLEO) for person in persons(command))
        body, headers = command_record(envelope, self.keys)
        self.broker.send(f"commands.{command.domain}", command.key(), body, headers)
        return command_id

    def processor(self) -> tuple[CommandProcessor, MemoryCommandLog]:
        """Return a new processor that stops when no command is left, and its view of the log."""
        log = MemoryCommandLog(self.broker, self.domains, self.batch)
        processor = CommandProcessor(
            log, self.store, self.claims, self.keys.for_reader(), self.router
        )
        log.idle = processor.stop
        return processor, log

    async def run(self) -> CommandProcessor:
        """Let a new processor decide all that waits."""
        processor, log = self.processor()
        async with asyncio.timeout(_DEADLINE_S):
            await processor.run()
        assert log.closed
        return processor

    def events(self, domain: str) -> Sequence[Recorded]:
        """Return the events of a domain, decrypted."""
        return [decode(record, self.keys) for record in self.broker.records(f"events.{domain}")]

    def outcomes(self, domain: str) -> list[CommandDecided]:
        """Return the outcomes that stand in a domain's log."""
        return [read_outcome(r.value) for r in self.broker.records(f"outcomes.{domain}")]

    def replies(self, partition: int) -> list[CommandDecided]:
        """Return what the process that waits on a reply partition was told."""
        return [read_outcome(r.value) for r in self.broker.partition(REPLIES, partition)]
