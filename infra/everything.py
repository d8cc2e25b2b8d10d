"""What operators do with the whole: start it, make its topics, ask how it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from commands.envelope import CommandEnvelope
from commands.users import ChangeRole
from events import clock
from events.base import TopicPartition
from events.errors import NotFound
from events.users import Role
from infra.app_processes import start_app
from infra.bootstrap.core import open_core
from infra.kafka.bus import KafkaCommandBus
from infra.kafka.ends import LogEnds
from infra.kafka.topics import Installation, apply_topics
from infra.lag import Lag, LagMonitor
from infra.live_builds import LiveBuilds
from infra.models import prepare_models
from infra.places import find_places, start_servers
from infra.settings import Settings
from infra.web_assets import prepare_web_assets
from projections.registry import PROJECTIONS

Progress = Callable[[str, str], None]


def start_everything(settings: Settings, on_progress: Progress) -> str:
    """Start servers, topics, models and processes that are missing; return the API's URL."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    start_servers(settings, on_progress)
    made = asyncio.run(apply_all_topics(settings))
    on_progress("topics", f"{len(made)} made" if made else "all there")
    prepare_models(settings.cache_dir / "models")
    on_progress("models", "ready")
    prepare_web_assets(settings.cache_dir)
    on_progress("player", "ready")
    return start_app(settings, lambda name: on_progress(name, "ready"))


async def apply_all_topics(settings: Settings) -> list[str]:
    """Make the topics that are missing and return their names."""
    return await apply_topics(
        Installation(
            find_places(settings).kafka,
            settings.partitions,
            settings.replication,
            settings.min_insync_replicas,
        )
    )


Parked = Mapping[tuple[str, TopicPartition], int]


async def measure_lag(settings: Settings) -> tuple[list[Lag], Parked]:
    """Return how far every projection is behind in every partition, and how many keys wait there.

    Of the keys only those are told of which any waits.
    """
    async with open_core(settings) as core:
        ends = LogEnds(core.places.kafka)
        try:
            lags = await LagMonitor(
                core.sinks, PROJECTIONS, LiveBuilds(core.builds, PROJECTIONS), ends
            ).measure()
            return lags, await core.parking.counts(await core.builds.seen(PROJECTIONS))
        finally:
            await ends.close()


async def set_role(settings: Settings, email: str, role: Role) -> None:
    """Give an account another role.

    Raises:
        NotFound: no account has this email.
    """
    async with open_core(settings) as core:
        user_id = await core.pool.fetchval(
            "SELECT id FROM users WHERE lower(email) = lower($1)", email
        )
        if user_id is None:
            raise NotFound(f"No account has the email {email}", code="USER_NOT_FOUND")
        bus = KafkaCommandBus(core.places.kafka, core.keys, settings.command_timeout_seconds)
        await bus.start()
        try:
            command_id = clock.new_id()
            command = ChangeRole(user_id=str(user_id), role=role)
            envelope = CommandEnvelope(command, command_id, clock.now(), command_id, command_id)
            outcome = await bus.send(envelope)
            if outcome.refusal is not None:
                raise outcome.refusal.error()
        finally:
            await bus.stop()
