"""How fast projections are built anew from the log, each alone and all in one pass.

The log holds views of videos. What is measured is the product's own rebuild, from offset 0 to the
end of the log, without the comparison and the switch; beside it a plain Faust agent that applies
the same events to Postgres one at a time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands.system import environment
from benchmarks.environments import versions
from benchmarks.live_projection import log
from benchmarks.live_projection.topic import ONE_BY_ONE_EVENTS, database
from benchmarks.live_projection.views import Views
from benchmarks.peers.beside import TITLE, measure_eventsourcing
from benchmarks.processes import measure_module
from benchmarks.report import Figure, Result, Spread
from infra.bootstrap.core import Core, open_core
from infra.collector import relieve_collector
from infra.memory import keep_freed_memory
from infra.postgres.builds import BuildState
from infra.rebuild.helpers import build_together
from infra.rebuild.operations import begin_builds, remove_builds
from infra.rebuild.rebuilding import Rebuild
from infra.settings import Settings
from projections.declaration import Projection
from projections.hot_counters import HOT_COUNTERS
from projections.registry import PROJECTIONS
from projections.trending import TRENDING
from projections.video_index import VIDEO_INDEX
from projections.viewing import VIEWING
from projections.watch_page import WATCH_PAGE

SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
EVENTS, QUICK_EVENTS = 1_000_000, 50_000
#: The projections that count views, by the store that they are in.
ALONE: Mapping[str, Sequence[Projection]] = {
    "watch_page (PostgreSQL)": (WATCH_PAGE,),
    "hot_counters (Redis)": (HOT_COUNTERS,),
    "trending (Redis)": (TRENDING,),
    "viewing (ClickHouse)": (VIEWING,),
    "video_index (OpenSearch)": (VIDEO_INDEX,),
}
EVERYTHING = "all eleven in one pass"
#: Builds whose log is read by several processes.
SHARED: Mapping[str, Sequence[Projection]] = {
    "watch_page (PostgreSQL), two processes": (WATCH_PAGE,),
    f"{EVERYTHING}, two processes": PROJECTIONS,
}


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Write the log once; then build each projection, and all of them, a few times."""
    events = QUICK_EVENTS if quick else EVENTS
    await log.make_topics(servers["kafka"])
    log.append(servers["kafka"], Views(events))
    rates: dict[str, list[float]] = {name: [] for name in (*ALONE, EVERYTHING, *SHARED)}
    one_by_one: list[float] = []
    runner: list[float] = []
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        os.environ.update(environment(servers, Path(folder)))
        async with open_core(Settings()) as core:
            relieve_collector()
            keep_freed_memory()
            for number in range(rounds):
                for name, projections in (*ALONE.items(), (EVERYTHING, PROJECTIONS)):
                    rates[name].append(events / await _build(core, projections))
                for name, projections in SHARED.items():
                    rates[name].append(events / await _build(core, projections, processes=2))
                one_by_one.append(await _one_by_one(servers, number))
                peer = await measure_eventsourcing(servers["postgres"], number, quick)
                runner += [peer["projected_per_second"]] if peer else []
    return _result(events, rates, one_by_one, runner)


async def _build(core: Core, projections: Sequence[Projection], processes: int = 1) -> float:
    """Build projections from offset 0, remove what was built, and return the seconds it took."""
    targets = await begin_builds(core, projections)
    started = time.perf_counter()
    await build_together(Rebuild(core, targets), processes)
    took = time.perf_counter() - started
    await remove_builds(core, projections, [BuildState.BUILDING])
    return took


async def _one_by_one(servers: Mapping[str, str], number: int) -> float:
    name = f"benchmark_one_by_one_{number}"
    async with database(servers["postgres"], name) as url:
        found = await measure_module(
            "benchmarks.live_projection.contestant",
            [
                "faust_one_by_one",
                *("--kafka", servers["kafka"], "--postgres", url, "--run", name),
                *("--events", str(ONE_BY_ONE_EVENTS)),
            ],
        )
    rate: float = found["applied"] / found["wall_s"]
    return rate


def _result(
    events: int,
    rates: Mapping[str, list[float]],
    one_by_one: list[float],
    runner: list[float],
) -> Result:
    watch_page = rates["watch_page (PostgreSQL)"]
    pairs = zip(watch_page, one_by_one, strict=True)
    raw: dict[str, Any] = {
        "events_per_second": dict(rates),
        "one_by_one": one_by_one,
        "eventsourcing_projected_per_second": runner,
    }
    return Result(
        about=(
            f"{events:,} views in {log.PARTITIONS} partitions, built anew from offset 0 by the "
            "product's own rebuild, without comparison and switch; and a plain Faust agent that "
            "applies the same views to PostgreSQL one event and one transaction at a time. The "
            "ProjectionRunner of pyeventsourcing does so with likes that it has saved itself."
        ),
        figures=(
            *(
                Figure(name, "events/s", Spread.of(rate), ">= 40,000" if "Postgre" in name else "")
                for name, rate in rates.items()
            ),
            Figure("Plain Faust, one event at a time", "events/s", Spread.of(one_by_one)),
            Figure(
                "watch_page / plain Faust, events/s",
                "x",
                Spread.of(built / one for built, one in pairs),
                ">= 5",
            ),
            *_peer_figures(watch_page, runner),
        ),
        raw=raw,
        libraries=("aiokafka", "asyncpg", "redis", "clickhouse-connect", "opensearch-py"),
        beside=versions("peers", "eventsourcing"),
    )


def _peer_figures(watch_page: list[float], runner: list[float]) -> list[Figure]:
    if not runner:
        return []
    ratio = Spread.of(built / one for built, one in zip(watch_page, runner, strict=True))
    return [
        Figure(f"{TITLE}, ProjectionRunner", "events/s", Spread.of(runner)),
        Figure(f"watch_page / {TITLE}, events/s", "x", ratio),
    ]
