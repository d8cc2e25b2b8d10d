"""The composition of a command worker."""

from __future__ import annotations

from commands.processor import CommandProcessor
from commands.router import ROUTER
from infra.bootstrap.core import Core
from infra.kafka.command_log import CommandLogSettings, KafkaCommandLog
from infra.postgres.key_store import derive_key, service_key
from infra.postgres.write_path import PostgresClaims, PostgresStateStore


async def command_processor(core: Core) -> CommandProcessor:
    """Return a processor that has joined the group of command workers."""
    claims = PostgresClaims(core.pool, await _claims_key(core))
    command_log = KafkaCommandLog(CommandLogSettings(core.places.kafka, core.settings.worker_slot))
    await command_log.start()
    return CommandProcessor(command_log, PostgresStateStore(core.pool), claims, core.keys, ROUTER)


async def _claims_key(core: Core) -> bytes:
    """Return the key of claims, which outlives the master key that it was first derived from."""
    first = core.settings.master_key_old.get_secret_value() or core.places.master_key
    return await service_key(core.pool, core.wrapper, "claims", derive_key(first, "claims"))
