"""Waiting until everything that follows from what was done is done: every reader at the log's end.

Nobody sleeps: what is compared are positions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from confluent_kafka import Consumer, TopicPartition

from events.base import TopicPartition as Source
from infra.bootstrap.core import Core
from infra.kafka.command_log import GROUP
from infra.kafka.ends import LogEnds
from infra.lag import LagMonitor
from infra.live_builds import LiveBuilds
from projections.registry import PROJECTIONS
from schemas.catalogue import DOMAINS
from tests.support.waiting import eventually

#: Rules by name, with the domain whose events they react to.
REACTIONS: Mapping[str, tuple[str, ...]] = {
    "transcode_on_upload": ("videos",),
    "remove_deleted_media": ("videos",),
    "moderate_on_upload": ("videos",),
    "moderate_comments": ("comments",),
    "apply_verdicts": ("moderation",),
}


async def settled(core: Core, timeout_s: float = 90.0) -> None:
    """Return when commands are decided, reactions done and projections at the end of the log."""
    ends = LogEnds(core.places.kafka)

    async def look() -> bool:
        try:
            before = await _log_ends(ends)
            return (
                await _undecided(core.places.kafka) == {}
                and await _unreacted(core, before) == {}
                and await _unapplied(core, ends) == {}
                and await _log_ends(ends) == before
            )
        except Exception as error:
            # Servers that are away, and stores that no worker has prepared yet.
            raise AssertionError(f"{type(error).__name__}: {error}") from error

    try:
        await eventually("everything at the end of the log", look, timeout_s, poll_s=0.2)
    finally:
        await ends.close()


async def _log_ends(ends: LogEnds) -> dict[Source, int]:
    topics = [topic for domain in DOMAINS for topic in (domain.events, domain.outcomes)]
    return await ends.ends(await ends.partitions(topics))


async def _undecided(bootstrap: str) -> dict[str, int]:
    """Return the partitions of commands that wait, with how many."""
    waiting = await asyncio.to_thread(_commands_waiting, bootstrap)
    assert not waiting, f"undecided commands: {waiting}"
    return waiting


def _commands_waiting(bootstrap: str) -> dict[str, int]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": GROUP, "enable.auto.commit": False}
    )
    try:
        known = consumer.list_topics(timeout=10).topics
        places = [
            TopicPartition(domain.commands, number)
            for domain in DOMAINS
            for number in known[domain.commands].partitions
        ]
        waiting = {}
        for place in consumer.committed(places, timeout=10):
            _, end = consumer.get_watermark_offsets(place, timeout=10)
            if end > max(place.offset, 0):
                waiting[f"{place.topic}/{place.partition}"] = end - max(place.offset, 0)
        return waiting
    finally:
        consumer.close()


async def _unreacted(core: Core, ends: Mapping[Source, int]) -> dict[str, int]:
    rows = await core.pool.fetch(
        "SELECT reaction, topic, partition, position FROM reaction_positions"
    )
    stored = {(r["reaction"], Source(r["topic"], r["partition"])): r["position"] for r in rows}
    behind = {
        f"{reaction} {source}": end - stored.get((reaction, source), 0)
        for reaction, domains in REACTIONS.items()
        for source, end in ends.items()
        if source.topic in {f"events.{domain}" for domain in domains}
        and end > stored.get((reaction, source), 0)
    }
    assert not behind, f"events that were not reacted to: {behind}"
    return behind


async def _unapplied(core: Core, ends: LogEnds) -> dict[str, int]:
    lags = await LagMonitor(
        core.sinks, PROJECTIONS, LiveBuilds(core.builds, PROJECTIONS), ends
    ).measure()
    behind = {f"{lag.projection} {lag.source}": lag.events for lag in lags if lag.events}
    assert not behind, f"lag: {behind}"
    return behind
