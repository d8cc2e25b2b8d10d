"""How fast the command processor works off what waits, beside a bare producer of as many events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from commands.engagement import LikeVideo
from commands.envelope import CommandEnvelope, command_record
from events import clock
from events.codec import Headers
from events.privacy import KeyRing
from infra.bootstrap.core import open_core
from infra.kafka.ends import LogEnds
from infra.settings import Settings
from infra.supervisor.client import SupervisorClient
from schemas.catalogue import domain_named

_DOMAIN = domain_named("engagement")
_TIMEOUT_S = 120.0
_READERS = ("projections", "processors")


@contextmanager
def nobody_reads(supervisor: SupervisorClient) -> Iterator[None]:
    """Have nobody apply or react to events meanwhile, as nobody does to those of opponents."""
    supervisor.stop(*_READERS)
    try:
        yield
    finally:
        supervisor.restart(*_READERS)


async def decided_per_second(settings: Settings, count: int) -> float:
    """Let ``count`` likes wait while no processor runs, then start it; return its rate."""
    supervisor = SupervisorClient(settings.data_dir)
    with nobody_reads(supervisor):
        supervisor.stop("commands")
        async with open_core(settings) as core:
            records = [_like(core.keys) for _ in range(count)]
            await asyncio.to_thread(_produce, core.places.kafka, _DOMAIN.commands, records)
            ends = LogEnds(core.places.kafka)
            try:
                supervisor.restart("commands")
                return await _rate(ends, count)
            finally:
                await ends.close()


def _like(keys: KeyRing) -> tuple[str, bytes, Headers]:
    video_id, command_id = clock.new_id(), clock.new_id()
    command = LikeVideo(video_id=video_id, creator_id=video_id, user_id=clock.new_id())
    envelope = CommandEnvelope(command, command_id, clock.now(), command_id, command_id)
    body, headers = command_record(envelope, keys)
    return video_id, body, headers


async def _rate(ends: LogEnds, count: int) -> float:
    """Return outcomes a second between the first batch and the last."""
    sources = await ends.partitions([_DOMAIN.outcomes])
    begun = sum((await ends.ends(sources)).values())
    first, first_at = begun, time.perf_counter()
    async with asyncio.timeout(_TIMEOUT_S):
        while True:
            now = sum((await ends.ends(sources)).values())
            if first == begun and now > begun:
                first, first_at = now, time.perf_counter()
            if now - begun >= count:
                return (now - first) / max(time.perf_counter() - first_at, 1e-9)
            await asyncio.sleep(0.02)


async def bare_per_second(settings: Settings, count: int) -> float:
    """Return the rate of a bare idempotent producer of the same records."""
    async with open_core(settings) as core:
        records = [_like(core.keys) for _ in range(count)]
        return await asyncio.to_thread(_produce, core.places.kafka, "deadletters", records)


def _produce(bootstrap: str, topic: str, records: list[tuple[str, bytes, Headers]]) -> float:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": len(records) + 1,
            "compression.type": "lz4",
        }
    )
    started = time.perf_counter()
    for key, body, headers in records:
        producer.produce(topic, value=body, key=key, headers=list(headers))
    producer.flush(60.0)
    return len(records) / (time.perf_counter() - started)
