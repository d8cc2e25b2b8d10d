"""What it takes a command worker to decide again after another has died, however long the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice

from benchmarks.live_projection.log import make_topics
from benchmarks.live_projection.views import Views
from benchmarks.log_verify.filling import DOMAIN, PARTITIONS, fill
from benchmarks.report import Figure, Result, Spread
from commands.engagement import LikeVideo
from commands.envelope import CommandEnvelope, command_record
from commands.ports import Poll
from commands.processor import CommandProcessor
from commands.router import ROUTER
from events import clock
from infra.collector import relieve_collector
from infra.kafka.appender import Appender
from infra.kafka.command_log import CommandLogSettings, KafkaCommandLog
from infra.postgres.database import Pool, migrate, open_pool
from infra.postgres.key_store import PostgresKeyRing
from infra.postgres.write_path import PostgresClaims, PostgresStateStore

SERVERS = ("kafka", "postgres")
#: Events in the log, and those of them that came after the state was last written down.
EVENTS, LATE = (100_000, 1_000_000), 2_000
EVENTS_QUICK = (10_000, 50_000)
_MASTER_KEY = "a key that wraps the keys of nobody"
_TIMEOUT_S = 900.0
_POLL_S = 0.005


@dataclass(frozen=True, slots=True)
class Takeover:
    """Seconds from when partitions are assigned until each has decided a command."""

    events: int
    from_nothing_s: float
    after_a_crash_s: float


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Take over a log without any state, and one of whose state the latest part is missing."""
    await make_topics(servers["kafka"])
    pool = await open_pool(servers["postgres"])
    await migrate(pool)
    relieve_collector()
    sizes = EVENTS_QUICK if quick else EVENTS
    views = iter(Views(sizes[-1] + len(sizes) * rounds * LATE))
    written, found = 0, []
    for size in sizes:
        await asyncio.to_thread(fill, servers["kafka"], islice(views, size - written))
        written = size
        for _ in range(rounds):
            await pool.execute("TRUNCATE state_positions, aggregate_states, command_outcomes")
            from_nothing = await _first_decisions(servers["kafka"], pool)
            await asyncio.to_thread(fill, servers["kafka"], islice(views, LATE))
            written += LATE
            found.append(
                Takeover(written, from_nothing, await _first_decisions(servers["kafka"], pool))
            )
    await pool.close()
    return _result(sizes, found, rounds)


def _result(sizes: tuple[int, ...], found: list[Takeover], rounds: int) -> Result:
    figures = []
    for number, size in enumerate(sizes):
        mine = found[number * rounds : (number + 1) * rounds]
        about = f"{size:,} events in the log"
        figures += [
            Figure(f"After a crash, {about}", "s", Spread.of(t.after_a_crash_s for t in mine)),
            Figure(f"From nothing, {about}", "s", Spread.of(t.from_nothing_s for t in mine)),
            Figure(
                f"Folded from nothing, {about}",
                "events/s",
                Spread.of(t.events / t.from_nothing_s for t in mine),
            ),
        ]
    return Result(
        about=(
            "A command worker gets all partitions of all domains; the clock runs until a command "
            f"is decided in each of the {PARTITIONS} partitions that hold the events. After a "
            f"crash: the state in Postgres lacks the latest {LATE:,} events. From nothing: it is "
            "empty, and the whole log is folded."
        ),
        figures=figures,
        raw={"takeovers": [asdict(each) for each in found]},
        libraries=("confluent-kafka", "asyncpg", "pydantic"),
    )


class _TimedLog(KafkaCommandLog):
    """Notes when partitions were assigned."""

    assigned_at: float | None = None

    async def poll(self) -> Poll:
        poll = await super().poll()
        if poll.assigned and self.assigned_at is None:
            self.assigned_at = time.perf_counter()
        return poll


async def _first_decisions(bootstrap: str, pool: Pool) -> float:
    """Return how long a worker takes until it has decided a command in each partition."""
    keys = PostgresKeyRing(pool, _MASTER_KEY)
    await _command_each_partition(bootstrap, keys)
    log = _TimedLog(CommandLogSettings(bootstrap, "benchmark"))
    await log.start()
    store, claims = PostgresStateStore(pool), PostgresClaims(pool, b"claims nothing")
    processor = CommandProcessor(log, store, claims, keys, ROUTER)
    working = asyncio.create_task(processor.run())
    async with asyncio.timeout(_TIMEOUT_S):
        while processor.decided < PARTITIONS and not working.done():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    ended = time.perf_counter()
    processor.stop()
    await working
    assert log.assigned_at is not None
    return ended - log.assigned_at


async def _command_each_partition(bootstrap: str, keys: PostgresKeyRing) -> None:
    appender = Appender(bootstrap)
    for partition in range(PARTITIONS):
        video_id, command_id = clock.new_id(), clock.new_id()
        command = LikeVideo(video_id=video_id, creator_id=video_id, user_id=clock.new_id())
        envelope = CommandEnvelope(command, command_id, clock.now(), command_id, command_id)
        body, headers = command_record(envelope, keys)
        await appender.append(DOMAIN.commands, video_id, body, headers, partition)
    await appender.close()
