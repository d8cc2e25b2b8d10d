"""The command bus of an API process: commands out, outcomes back.

The process reads one partition of the reply topic, from its end; each command names that
partition, and the outcome comes back in the transaction that decided it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from commands.envelope import CommandEnvelope, command_record, read_outcome
from commands.ports import OutcomePendingError
from events.errors import LogError, Unavailable
from events.outcomes import CommandDecided
from events.privacy import KeyRing
from infra import metrics
from schemas.catalogue import REPLIES, REPLY_PARTITIONS, domain_named

log = structlog.get_logger(__name__)

_SEND_TIMEOUT_S = 5.0
_RETRY_AFTER_S = 2.0
_FIRST_RETRY_S = 0.2
_LAST_RETRY_S = 5.0


class KafkaCommandBus:
    """Implements ``commands.ports.CommandBus``."""

    def __init__(self, bootstrap: str, keys: KeyRing, timeout_s: float) -> None:
        self._bootstrap = bootstrap
        self._keys = keys
        self._timeout_s = timeout_s
        self._partition = random.randrange(REPLY_PARTITIONS)  # noqa: S311 - spreads, hides nothing
        self._waiting: dict[str, list[asyncio.Future[CommandDecided]]] = defaultdict(list)
        self._producer: AIOKafkaProducer | None = None
        self._reader: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def start(self) -> None:
        """Connect, and be ready to hear replies before the first command goes out."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=0,
            request_timeout_ms=int(_SEND_TIMEOUT_S * 1000),
        )
        await self._producer.start()
        self._reader = asyncio.create_task(self._read_for_ever())
        await self._listening.wait()

    async def stop(self) -> None:
        """Disconnect; whoever still waits is told that the outcome is pending."""
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, envelope: CommandEnvelope) -> CommandDecided:
        future: asyncio.Future[CommandDecided] = asyncio.get_running_loop().create_future()
        self._waiting[envelope.command_id].append(future)
        result = "unavailable"
        try:
            await self._append(envelope)
            result = "pending"
            async with asyncio.timeout(self._timeout_s):
                outcome = await future
            result = "refused" if outcome.refusal else "accepted"
        except TimeoutError:
            raise OutcomePendingError(envelope.command_id) from None
        else:
            return outcome
        finally:
            metrics.COMMANDS.labels(envelope.command.stored_name(), result).inc()
            self._forget(envelope.command_id, future)

    async def append(self, envelope: CommandEnvelope) -> None:
        """Append a command for whose outcome nobody waits."""
        await self._append(envelope, reply=False)

    async def _append(self, envelope: CommandEnvelope, *, reply: bool = True) -> None:
        if self._producer is None:
            raise Unavailable("The log is not connected", retry_after_s=_RETRY_AFTER_S)
        body, headers = command_record(envelope, self._keys)
        if reply:
            headers.append(("reply_to", str(self._partition).encode()))
        command = envelope.command
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await self._producer.send_and_wait(
                    domain_named(command.domain).commands,
                    value=body,
                    key=command.key().encode(),
                    headers=headers,
                )
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(
                "The log cannot be reached", code="LOG_UNAVAILABLE", retry_after_s=_RETRY_AFTER_S
            ) from error

    def _forget(self, command_id: str, future: asyncio.Future[CommandDecided]) -> None:
        waiting = self._waiting[command_id]
        waiting.remove(future)
        if not waiting:
            del self._waiting[command_id]

    async def _read_for_ever(self) -> None:
        """Read replies; after trouble, connect anew and go on from the end."""
        wait_s = _FIRST_RETRY_S
        while True:
            try:
                await self._read()
            except KafkaError as error:
                log.warning("replies_interrupted", reason=str(error))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LAST_RETRY_S)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="latest",
        )
        await consumer.start()
        try:
            partition = TopicPartition(REPLIES, self._partition)
            consumer.assign([partition])
            await consumer.seek_to_end(partition)
            await consumer.position(partition)
            self._listening.set()
            async for record in consumer:
                self._deliver(record)
        finally:
            await consumer.stop()

    def _deliver(self, record: Any) -> None:
        command_id = dict(record.headers).get("command_id", b"").decode("utf-8", "replace")
        if command_id not in self._waiting:
            return
        try:
            outcome = read_outcome(record.value)
        except LogError:
            log.exception("undecodable_reply", offset=record.offset)
            return
        for future in self._waiting[command_id]:
            if not future.done():
                future.set_result(outcome)
