"""How near a rebuild comes to what each store takes in bulk, where every event makes a row.

A rebuild reads the log, decodes, decrypts, validates, folds and keeps positions with the rows. The
limit beside it does none of that: it puts the very rows of the build into an empty table of the
same shape, by the store's own way of loading in bulk.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bulk_limits import limits
from benchmarks.bulk_limits.rows import Rows
from benchmarks.commands.system import environment
from benchmarks.query_api.site import Fact, append
from benchmarks.report import RATIO, Figure, Result, Spread
from infra.bootstrap.core import Core, open_core
from infra.collector import relieve_collector
from infra.everything import apply_all_topics
from infra.memory import keep_freed_memory
from infra.postgres.builds import BuildState
from infra.rebuild.helpers import build_together
from infra.rebuild.operations import begin_builds, remove_builds
from infra.rebuild.rebuilding import Rebuild
from infra.settings import Settings
from projections.declaration import Projection
from projections.followers import FOLLOWERS
from projections.sessions import SESSIONS
from projections.video_index import VIDEO_INDEX
from projections.viewing import VIEWING

SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Race:
    """A store, what is built in it from how many events, and how it loads the same in bulk."""

    title: str
    server: str
    projection: Projection
    history: Callable[[Rows, int], Iterator[Fact]]
    events: int
    limit: Callable[[str, Projection], Awaitable[tuple[int, float]]]


#: In this order: a read model of a later one may read the events of an earlier one, not the other
#: way round.
RACES: Sequence[Race] = (
    Race("PostgreSQL", "postgres", FOLLOWERS, Rows.follows, 200_000, limits.postgres),
    Race("Redis", "redis", SESSIONS, Rows.sessions, 100_000, limits.redis),
    Race("OpenSearch", "opensearch", VIDEO_INDEX, Rows.films, 20_000, limits.opensearch),
    Race("ClickHouse", "clickhouse", VIEWING, Rows.views, 200_000, limits.clickhouse),
)
QUICK_SHARE = 10


class RowsMissing(RuntimeError):
    """A build does not hold a row for each event: its speed means nothing."""


#: How it is done -> rows a second, one a round.
Rates = dict[str, list[float]]
_ONE, _SHARED, _LIMIT = "one process", f"{PROCESSES} processes", "bulk"


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Write a history; build it anew and load its rows in bulk, a few times; then the next one."""
    found: dict[str, Rates] = {}
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        os.environ.update(environment(servers, Path(folder)))
        settings = Settings()
        await apply_all_topics(settings)
        async with open_core(settings) as core:
            relieve_collector()
            keep_freed_memory()
            rows = Rows()
            for person in rows.people:
                await core.keys.create(person)
            for race in RACES:
                count = race.events // (QUICK_SHARE if quick else 1)
                history = race.history(rows, count)
                await asyncio.to_thread(append, core.places.kafka, history, core.keys)
                rates = [await _race(core, race, servers, count) for _ in range(rounds)]
                found[race.title] = {name: [each[name] for each in rates] for name in rates[0]}
    return _result(found)


async def _race(
    core: Core, race: Race, servers: Mapping[str, str], count: int
) -> Mapping[str, float]:
    """Return rows a second of a build by one process, by several, and of the store in bulk."""
    alone, _ = await _build(core, race, servers, count, 1)
    shared, limit = await _build(core, race, servers, count, PROCESSES)
    return {_ONE: alone, _SHARED: shared, _LIMIT: limit}


async def _build(
    core: Core, race: Race, servers: Mapping[str, str], count: int, processes: int
) -> tuple[float, float]:
    """Build from offset 0, load what was built in bulk, and remove it; return rows a second."""
    [target] = await begin_builds(core, [race.projection])
    started = time.perf_counter()
    await build_together(Rebuild(core, [target]), processes)
    took = time.perf_counter() - started
    loaded, limit_took = await race.limit(servers[race.server], target)
    await remove_builds(core, [race.projection], [BuildState.BUILDING])
    if loaded != count:
        raise RowsMissing(f"{race.title}: {loaded} rows of {count} events")
    return count / took, loaded / limit_took


def _result(found: Mapping[str, Rates]) -> Result:
    figures = []
    for title, rates in found.items():
        best = [max(pair) for pair in zip(rates[_ONE], rates[_SHARED], strict=True)]
        ratio = Spread.of(ours / limit for ours, limit in zip(best, rates[_LIMIT], strict=True))
        figures.append(Figure(f"{title}: rebuild / bulk load", RATIO, ratio, "≥ 0.5"))
        figures += [Figure(f"{title}: {name}", "rows/s", Spread.of(rates[name])) for name in rates]
    return Result(
        about=(
            "Histories in which each event makes a row (who follows whom, sessions, films, views), "
            f"built anew by the product's own rebuild, by one process and by {PROCESSES}, the "
            "faster of which is compared; then the very rows of the build loaded by the store's "
            "own bulk way: COPY in binary form, commands in Redis' protocol without waiting for "
            "answers, _bulk requests with one refresh, an insert of native blocks."
        ),
        figures=figures,
        raw={"rows_per_second": found},
        libraries=("aiokafka", "asyncpg", "redis", "clickhouse-connect", "opensearch-py"),
    )
