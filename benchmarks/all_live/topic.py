"""All projections at once, live, over all four stores: how fast they work off what waits."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.commands.system import environment
from benchmarks.query_api.serving import running
from benchmarks.query_api.site import SEED, Site, append
from benchmarks.report import Figure, Result, Spread
from events.base import TopicPartition
from infra.bootstrap.core import Core, open_core
from infra.collector import relieve_collector
from infra.everything import apply_all_topics
from infra.kafka.ends import LogEnds
from infra.settings import Settings
from projections.declaration import Store
from projections.registry import PROJECTIONS

SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
VIEWS, QUICK_VIEWS = 150_000, 20_000
#: What it is called -> the roles of each worker. Two that are about as fast share a process: what
#: one of them has unpacked and decoded is there for the other.
WORKERS: Mapping[str, Sequence[Sequence[str]]] = {
    "one worker": [["projections"]],
    "two workers": [
        ["projections-postgres", "projections-redis"],
        ["projections-clickhouse", "projections-opensearch"],
    ],
}
_TIMEOUT_S = 300.0
#: Asking all stores costs them something: five times as often took a tenth of a core.
_POLL_S = 0.25

#: (projection, partition) -> an offset.
Places = dict[tuple[str, TopicPartition], int]


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Let a site's history wait, then start the workers; each time another site's."""
    rates: dict[str, list[float]] = {name: [] for name in WORKERS}
    seed = SEED
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as name:
        folder = Path(name)
        os.environ.update(environment(servers, folder))
        settings = Settings()
        await apply_all_topics(settings)
        async with open_core(settings) as core, _log_ends(core) as ends:
            relieve_collector()
            for sink in core.sinks:
                await sink.prepare([each for each in PROJECTIONS if each.store is sink.store])
            # Servers in Java take several times as long for what they have not compiled yet, so
            # what the first worker does is not counted.
            runs = [next(iter(WORKERS)), *[*WORKERS] * rounds]
            for number, worker in enumerate(runs):
                seed += 1
                events = await _append(core, Site(QUICK_VIEWS if quick else VIEWS, seed))
                shares = await _shares_per_second(core, ends, WORKERS[worker], folder)
                if number > 0:
                    rates[worker].append(events * shares)
    return Result(
        about=(
            f"A site's history ({QUICK_VIEWS if quick else VIEWS:,} views, and accounts, films, "
            "follows, comments, likes, shares) waits in the log; then projection workers start and "
            f"apply it to all {len(PROJECTIONS)} read models in PostgreSQL, Redis, ClickHouse and "
            "OpenSearch, as they do live. An event counts once, however many read models it is for."
        ),
        figures=[
            Figure(f"All read models, {name}", "events/s", Spread.of(found), "≥ 15,000")
            for name, found in rates.items()
        ],
        raw={"events_per_second": rates},
        libraries=("aiokafka", "asyncpg", "redis", "clickhouse-connect", "opensearch-py"),
    )


@asynccontextmanager
async def _log_ends(core: Core) -> AsyncIterator[LogEnds]:
    ends = LogEnds(core.places.kafka)
    try:
        yield ends
    finally:
        await ends.close()


async def _append(core: Core, site: Site) -> int:
    """Write the site's history to the log; return how many events it is."""
    for person in site.people:
        await core.keys.create(person)
    return await asyncio.to_thread(append, core.places.kafka, site, core.keys)


async def _shares_per_second(
    core: Core, ends: LogEnds, workers: Sequence[Sequence[str]], folder: Path
) -> float:
    """Return which share of what waits is worked off in a second, once all stores are at work."""
    begun = await _positions(core)
    goal = await _goal(ends)
    to_do = sum(goal.values()) - sum(begun.get(place, 0) for place in goal)
    async with AsyncExitStack() as stack, asyncio.timeout(_TIMEOUT_S):
        for number, roles in enumerate(workers):
            log_file = folder / f"worker-{number}.log"
            arguments = ["worker", *roles]
            await stack.enter_async_context(running("infra.cli", arguments, os.environ, log_file))
        while _by_store(now := await _positions(core)) & _by_store(begun):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        first_at, left = time.perf_counter(), _left(now, goal)
        while _left(await _positions(core), goal):  # noqa: ASYNC110 - others work
            await asyncio.sleep(_POLL_S)
        return left / to_do / (time.perf_counter() - first_at)


async def _positions(core: Core) -> Places:
    found: Places = {}
    for sink in core.sinks:
        mine = [each for each in PROJECTIONS if each.store is sink.store]
        for name, positions in (await sink.positions(mine)).items():
            found.update({(name, source): at for source, at in positions.items()})
    return found


def _by_store(places: Places) -> set[tuple[Store, int]]:
    """Return how far each store is in all."""
    stores = {each.name: each.store for each in PROJECTIONS}
    sums = dict.fromkeys(stores.values(), 0)
    for (projection, _), at in places.items():
        sums[stores[projection]] += at
    return {*sums.items()}


async def _goal(ends: LogEnds) -> Places:
    goal: Places = {}
    for projection in PROJECTIONS:
        sources = await ends.partitions(sorted(projection.topics()))
        for source, end in (await ends.ends(sources)).items():
            goal[projection.name, source] = end
    return goal


def _left(now: Places, goal: Places) -> int:
    """Return how many offsets the read models have not passed yet."""
    return sum(max(0, end - now.get(place, 0)) for place, end in goal.items())
