"""The composition of a command worker."""

from __future__ import annotations

from commands.processor import CommandProcessor
from commands.router import ROUTER
from infra.bootstrap.core import Core
from infra.bootstrap.keys import lasting_key
from infra.kafka.command_log import CommandLogSettings, KafkaCommandLog
from infra.postgres.write_path import PostgresClaims, PostgresStateStore


async def command_processor(core: Core) -> CommandProcessor:
    """Return a processor that has joined the group of command workers."""
    claims = PostgresClaims(core.pool, await lasting_key(core, "claims"))
    command_log = KafkaCommandLog(CommandLogSettings(core.places.kafka, core.settings.worker_slot))
    await command_log.start()
    return CommandProcessor(command_log, PostgresStateStore(core.pool), claims, core.keys, ROUTER)
