"""The composition of a command worker."""

from __future__ import annotations

from commands.processor import CommandProcessor
from commands.router import ROUTER
from infra.bootstrap.core import Core
from infra.kafka.command_log import CommandLogSettings, ConfluentCommandLog
from infra.postgres.key_store import derive_key
from infra.postgres.write_path import PostgresClaims, PostgresStateStore


async def command_processor(core: Core) -> CommandProcessor:
    """Return a processor that has joined the group of command workers."""
    command_log = ConfluentCommandLog(
        CommandLogSettings(core.places.kafka, core.settings.worker_slot)
    )
    await command_log.start()
    return CommandProcessor(
        command_log,
        PostgresStateStore(core.pool),
        PostgresClaims(core.pool, derive_key(core.places.master_key, "claims")),
        core.keys,
        ROUTER,
    )
