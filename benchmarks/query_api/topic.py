"""Queries over HTTP beside what they could cost: a bare ASGI app, and the statements alone."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.commands.system import environment
from benchmarks.http_client import connections, request
from benchmarks.processes import MeasurementFailed, measure_module
from benchmarks.query_api.replay import Tape, record, write
from benchmarks.query_api.serving import Served, free_port, running, serving
from benchmarks.query_api.site import Site, append
from benchmarks.query_api.sizes import Sizes, sizes
from benchmarks.report import Figure, Plot, Result, Series, Spread
from infra.bootstrap.core import open_core
from infra.everything import apply_all_topics
from infra.freshness import PositionWaiter
from infra.kafka.ends import LogEnds
from infra.live_builds import LiveBuilds
from infra.models import prepare_models
from infra.settings import Settings
from infra.web_assets import prepare_web_assets
from projections.registry import PROJECTIONS

SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
VIEWS, QUICK_VIEWS = 50_000, 5_000
SECONDS, QUICK_SECONDS = 6.0, 2.0
#: Clients of the closed loop, on every contestant the same.
CLIENTS = 16
_CATCH_UP_S = 180.0
_WARM_UP_S = 2.0
WATCH = "watch page"
#: Shares of each contestant's highest rate at which the watch page is loaded, open loop.
SHARES = (0.25, 0.5, 0.75, 0.9)

#: Route -> its runs, one a round.
Runs = dict[str, list[dict[str, Any]]]


def routes(site: Site) -> dict[str, str]:
    """Return what is asked for, by what people call it."""
    film, owner = site.videos[0], site.people[0]
    return {
        WATCH: f"/api/v1/videos/{film}",
        "channel": f"/api/v1/users/{owner}/videos?limit=20",
        "followers": f"/api/v1/users/{owner}/followers?limit=20",
        "comments": f"/api/v1/videos/{film}/comments?limit=20",
        "search": "/api/v1/search?q=winter+garden&limit=20",
        "trending": "/api/v1/videos/trending?limit=20",
        "analytics": f"/api/v1/analytics/video/{film}",
    }


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Fill the stores by the product's own projections; then let the contestants take turns."""
    site = Site(QUICK_VIEWS if quick else VIEWS)
    seconds = QUICK_SECONDS if quick else SECONDS
    paths = routes(site)
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as name:
        folder = Path(name)
        os.environ.update(environment(servers, folder))
        settings = Settings()
        taken = await _fill(settings, site, folder)
        tapes = await record(settings, list(paths.values()))
        write(tapes, folder / "tapes")
        async with _both(folder, paths[WATCH]) as (ours, bare):
            await _same_bytes(ours, bare, tapes)
            await _warm_up((ours, bare), paths.values())
            runs: Runs = {name: [] for name in paths}
            for number in range(rounds):
                for route, path in paths.items():
                    one = await _round(ours, bare, path, folder / "tapes", seconds, number)
                    if route == WATCH:
                        one["over_load"] = await _over_load(ours, bare, path, seconds, one)
                    runs[route].append(one)
    return _result(runs, tapes, paths, taken)


async def _fill(settings: Settings, site: Site, folder: Path) -> Sizes:
    """Write the site to the log, and run a projection worker until the stores hold it.

    Returns what it takes there.
    """
    await apply_all_topics(settings)
    prepare_models(settings.cache_dir / "models")
    prepare_web_assets(settings.cache_dir)
    async with open_core(settings) as core:
        for person in site.people:
            await core.keys.create(person)
        await asyncio.to_thread(append, core.places.kafka, site, core.keys)
        ends = LogEnds(core.places.kafka)
        live = LiveBuilds(core.builds, PROJECTIONS)
        for sink in core.sinks:
            await sink.prepare([each for each in PROJECTIONS if each.store is sink.store])
        waiter = PositionWaiter(core.sinks, PROJECTIONS, live, ends, _CATCH_UP_S)
        log_file = folder / "projections.log"
        try:
            arguments = ["worker", "projections"]
            async with running("infra.cli", arguments, os.environ, log_file):
                await waiter.catch_up(PROJECTIONS)
            return await sizes(core, len(site.videos))
        finally:
            await ends.close()


@asynccontextmanager
async def _both(folder: Path, path: str) -> AsyncIterator[tuple[Served, Served]]:
    """Run StreamHub's API, one process as it is installed, and the bare application."""
    port, bare_port = free_port(), free_port()
    async with AsyncExitStack() as stack:
        ours = serving(
            "infra.cli",
            ["serve"],
            {**os.environ, "STREAMHUB_PORT": str(port)},
            port=port,
            path=path,
            log_file=folder / "api.log",
        )
        bare = serving(
            "benchmarks.query_api.bare_app",
            [str(folder / "tapes"), str(bare_port)],
            os.environ,
            port=bare_port,
            path=path,
            log_file=folder / "bare.log",
        )
        yield await stack.enter_async_context(ours), await stack.enter_async_context(bare)


async def _same_bytes(ours: Served, bare: Served, tapes: Mapping[str, Tape]) -> None:
    """Require answers of one length; signatures of pictures' addresses differ by their second."""
    async with connections(ours.url, 1) as left, connections(bare.url, 1) as right:
        for path in tapes:
            mine = (await left.send(request("GET", path))).body
            other = (await right.send(request("GET", path))).body
            if len(mine) != len(other):
                raise MeasurementFailed(f"{path}: {len(mine)} bytes, bare {len(other)}")


async def _warm_up(contestants: Sequence[Served], paths: Sequence[str] | Any) -> None:
    for path in paths:
        for served in contestants:
            await _load(served, path, _WARM_UP_S)


async def _load(served: Served, path: str, seconds: float, rate: float = 0.0) -> dict[str, Any]:
    """Load a server; return what the client saw and what the server's processor time came to."""
    options = ["--seconds", str(seconds), "--clients", str(CLIENTS), "--rate", str(rate)]
    before = served.cpu_seconds()
    found = await measure_module("benchmarks.query_api.client", [served.url, path, *options])
    used = served.cpu_seconds() - before
    return {**found, "cpu_s": used, "per_core_second": found["sent"] / max(used, 1e-9)}


async def _round(
    ours: Served, bare: Served, path: str, tapes: Path, seconds: float, number: int
) -> dict[str, Any]:
    """Measure a route: all contestants at their fastest, then StreamHub at half of its rate."""
    found: dict[str, Any] = {}
    contestants = [("streamhub", ours), ("bare_app", bare)]
    for name, served in contestants if number % 2 == 0 else reversed(contestants):
        found[name] = await _load(served, path, seconds)
    found["loop"] = await measure_module(
        "benchmarks.query_api.client",
        [
            *("none", path, "--tapes", str(tapes)),
            *("--seconds", str(seconds), "--clients", str(CLIENTS)),
        ],
    )
    rate = found["streamhub"]["rate"] / 2
    found["half"] = await _load(ours, path, seconds, rate)
    found["bare_at_that"] = await _load(bare, path, seconds, rate)
    return found


async def _over_load(
    ours: Served, bare: Served, path: str, seconds: float, fastest: Mapping[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """Load both at shares of what each can do; return contestant -> what was seen at each."""
    found: dict[str, list[dict[str, Any]]] = {"streamhub": [], "bare_app": []}
    for share in SHARES:
        for name, served in (("streamhub", ours), ("bare_app", bare)):
            rate = fastest[name]["rate"] * share
            found[name].append(await _load(served, path, seconds, rate))
    return found


def _result(
    runs: Runs, tapes: Mapping[str, Tape], paths: Mapping[str, str], taken: Sizes
) -> Result:
    figures = [figure for route in runs for figure in _figures(route, runs[route])]
    failed = [
        float(sum(part["failed"] for name, part in one.items() if name != "over_load"))
        for one in (one for route in runs.values() for one in route)
    ]
    figures.append(Figure("Failed requests, each run", "", Spread.of(failed), "0"))
    figures += [
        Figure(f"In a store: {name.replace('_', ', a ')}", "bytes", Spread.of([size]))
        for name, size in asdict(taken).items()
    ]
    statements = {route: len(tapes[path].calls) for route, path in paths.items()}
    return Result(
        about=(
            f"One API process, {CLIENTS} clients without pause (closed loop), beside a bare ASGI "
            "application under uvicorn that runs the same statements (recorded from the API's own "
            "handlers) with bare clients of the stores and answers with as many bytes by orjson; "
            "and beside the statements alone, as many at a time. Then open loop at half of the "
            "rate that was reached: latency counts from when a request was due. Statements a "
            "request: " + ", ".join(f"{name} {count}" for name, count in statements.items()) + "."
        ),
        figures=figures,
        raw={"routes": runs, "bytes": asdict(taken)},
        plots=(_plot(runs[WATCH]),),
        libraries=(
            *("fastapi", "pydantic", "uvicorn", "orjson"),
            *("asyncpg", "redis", "clickhouse-connect", "opensearch-py"),
        ),
    )


def _plot(runs: Sequence[Mapping[str, Any]]) -> Plot:
    def line(contestant: str, what: str) -> tuple[tuple[float, float], ...]:
        at = [
            Spread.of(one["over_load"][contestant][number][what] for one in runs).median
            for number in range(len(SHARES))
        ]
        return tuple(zip(SHARES, at, strict=True))

    return Plot(
        name="queries-latency",
        title="Watch page, open loop: from due to answered",
        x="share of its own highest rate",
        y="milliseconds",
        series=tuple(
            Series(f"{title}, {share}", line(contestant, f"{share}_ms"))
            for title, contestant in (("StreamHub", "streamhub"), ("bare ASGI", "bare_app"))
            for share in ("p50", "p99")
        ),
    )


def _figures(route: str, runs: Sequence[Mapping[str, Any]]) -> list[Figure]:
    is_watch = route == WATCH
    name = route.capitalize()
    figures = [
        Figure(
            f"{name}: StreamHub / bare ASGI, requests/s",
            "x",
            _ratio(runs, "bare_app", "rate"),
            "≥ 0.6" if is_watch else "",
        ),
        Figure(
            f"{name}: StreamHub / bare ASGI, requests a core-second",
            "x",
            _ratio(runs, "bare_app", "per_core_second"),
        ),
        Figure(f"{name}: StreamHub / statements alone", "x", _ratio(runs, "loop", "rate")),
        Figure(f"{name}: StreamHub", "requests/s", _spread(runs, "streamhub", "rate")),
        Figure(
            f"{name}: StreamHub, a core-second",
            "requests",
            _spread(runs, "streamhub", "per_core_second"),
        ),
        Figure(
            f"{name}: p99 at half of that",
            "ms",
            _spread(runs, "half", "p99_ms"),
            "≤ 30 ms" if is_watch else "",
        ),
    ]
    if is_watch:
        figures += [
            Figure(f"{name}: p50 at half of that", "ms", _spread(runs, "half", "p50_ms")),
            Figure(f"{name}: p95 at half of that", "ms", _spread(runs, "half", "p95_ms")),
            Figure(f"{name}: bare ASGI", "requests/s", _spread(runs, "bare_app", "rate")),
            Figure(
                f"{name}: p99 of bare ASGI at the same rate",
                "ms",
                _spread(runs, "bare_at_that", "p99_ms"),
            ),
        ]
    return figures


def _spread(runs: Sequence[Mapping[str, Any]], contestant: str, what: str) -> Spread:
    return Spread.of(one[contestant][what] for one in runs)


def _ratio(runs: Sequence[Mapping[str, Any]], other: str, what: str) -> Spread:
    return Spread.of(one["streamhub"][what] / one[other][what] for one in runs)
