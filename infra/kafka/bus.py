"""The command bus of an API process: commands out, outcomes back.

The process reads one partition of the reply topic, from its end; each command names that
partition, and the outcome comes back in the transaction that decided it.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import structlog
from confluent_kafka import Message

from commands.envelope import CommandEnvelope, command_record, read_outcome
from commands.ports import OutcomePendingError
from events.errors import LogError, Unavailable
from events.outcomes import CommandDecided
from events.privacy import KeyRing
from infra import metrics
from infra.kafka.appender import Appender
from infra.kafka.replies import TailReader
from schemas.catalogue import REPLIES, REPLY_PARTITIONS, domain_named

log = structlog.get_logger(__name__)

_RETRY_AFTER_S = 2.0


class KafkaCommandBus:
    """Implements ``commands.ports.CommandBus``."""

    def __init__(self, bootstrap: str, keys: KeyRing, timeout_s: float) -> None:
        self._bootstrap = bootstrap
        self._keys = keys
        self._timeout_s = timeout_s
        self._partition = random.randrange(REPLY_PARTITIONS)  # noqa: S311 - spreads, hides nothing
        self._waiting: dict[str, list[asyncio.Future[CommandDecided]]] = defaultdict(list)
        self._appender: Appender | None = None
        self._replies: TailReader | None = None

    async def start(self) -> None:
        """Connect, and be ready to hear replies before the first command goes out."""
        self._appender = Appender(self._bootstrap)
        self._replies = TailReader(self._bootstrap, REPLIES, self._partition, self._deliver)
        await self._replies.start()

    async def stop(self) -> None:
        """Disconnect; whoever still waits is told that the outcome is pending."""
        if self._appender is not None:
            await self._appender.close()
        if self._replies is not None:
            await self._replies.close()

    async def send(self, envelope: CommandEnvelope) -> CommandDecided:
        future: asyncio.Future[CommandDecided] = asyncio.get_running_loop().create_future()
        self._waiting[envelope.command_id].append(future)
        result = "unavailable"
        try:
            await self._append(envelope)
            result = "pending"
            outcome = await self._reply(future)
            result = "refused" if outcome.refusal else "accepted"
        except TimeoutError:
            raise OutcomePendingError(envelope.command_id) from None
        else:
            return outcome
        finally:
            metrics.COMMANDS.labels(envelope.command.stored_name(), result).inc()
            self._forget(envelope.command_id, future)

    async def _reply(self, future: asyncio.Future[CommandDecided]) -> CommandDecided:
        if self._replies is None:
            raise Unavailable("The log is not connected", retry_after_s=_RETRY_AFTER_S)
        with self._replies.awaited():
            async with asyncio.timeout(self._timeout_s):
                return await future

    async def append(self, envelope: CommandEnvelope) -> None:
        """Append a command for whose outcome nobody waits."""
        await self._append(envelope, reply=False)

    async def _append(self, envelope: CommandEnvelope, *, reply: bool = True) -> None:
        if self._appender is None:
            raise Unavailable("The log is not connected", retry_after_s=_RETRY_AFTER_S)
        body, headers = command_record(envelope, self._keys)
        if reply:
            headers.append(("reply_to", str(self._partition).encode()))
        command = envelope.command
        topic = domain_named(command.domain).commands
        await self._appender.append(topic, command.key(), body, headers)

    def _forget(self, command_id: str, future: asyncio.Future[CommandDecided]) -> None:
        waiting = self._waiting[command_id]
        waiting.remove(future)
        if not waiting:
            del self._waiting[command_id]

    def _deliver(self, records: Sequence[Message]) -> None:
        for record in records:
            headers: Any = record.headers() or []
            command_id = dict(headers).get("command_id", b"").decode("utf-8", "replace")
            if command_id in self._waiting:
                self._answer(command_id, record)

    def _answer(self, command_id: str, record: Message) -> None:
        try:
            outcome = read_outcome(record.value() or b"")
        except LogError:
            log.exception("undecodable_reply", offset=record.offset())
            return
        for future in self._waiting[command_id]:
            if not future.done():
                future.set_result(outcome)
