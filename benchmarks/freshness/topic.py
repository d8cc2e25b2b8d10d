"""How long after a command's answer each store shows what it did, at rising load."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.commands.load import Latencies, open_loop, percentile
from benchmarks.commands.people import comments, descriptions, likes
from benchmarks.commands.system import System, whole_system
from benchmarks.freshness.visibility import Seen, Visibility, visibility
from benchmarks.http_client import connections
from benchmarks.report import Figure, Plot, Result, Series, Spread
from infra.bootstrap.core import open_core
from projections.declaration import Store
from schemas.http import consistency

SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
RATES, QUICK_RATES = (20.0, 100.0, 200.0, 500.0), (20.0, 100.0)
SECONDS, QUICK_SECONDS = 15.0, 6.0
#: Servers in Java compile what they do often; before that they take several times as long.
WARM_UP_S, WARM_UP_RATE = 150.0, 200.0
TARGETS_MS: Mapping[str, float] = {
    str(Store.POSTGRES): 100,
    str(Store.REDIS): 100,
    str(Store.CLICKHOUSE): 500,
    str(Store.OPENSEARCH): 1_000,
}
_NAMES = {
    str(Store.POSTGRES): "Postgres",
    str(Store.REDIS): "Redis",
    str(Store.CLICKHOUSE): "ClickHouse",
    str(Store.OPENSEARCH): "OpenSearch",
}
_PEOPLE, _VIDEOS, _CONNECTIONS = 20, 20, 256
#: Answers a second whose effect is watched for; of more, only each n-th.
_WATCHED_A_SECOND = 50.0

#: Load as text -> its runs, one a round.
Runs = dict[str, list[dict[str, Any]]]


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Like, comment and describe at fixed rates, and watch the four stores."""
    rates, seconds = (QUICK_RATES, QUICK_SECONDS) if quick else (RATES, SECONDS)
    runs: Runs = {f"{rate:.0f}": [] for rate in rates}
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        async with (
            whole_system(servers, Path(folder), _PEOPLE, _VIDEOS) as system,
            open_core(system.settings) as core,
            visibility(core) as stores,
        ):
            await _load(system, stores, WARM_UP_RATE, WARM_UP_S, Counter())
            await stores.settle()
            for _ in range(rounds):
                for rate in rates:
                    statuses = Counter[int]()
                    load = await _load(system, stores, rate, seconds, statuses)
                    found = _shares(await stores.settle())
                    described = {**asdict(load), "visible_ms": found, "statuses": _text(statuses)}
                    runs[f"{rate:.0f}"].append(described)
    return _result(runs)


async def _load(
    system: System, stores: Visibility, rate: float, seconds: float, statuses: Counter[int]
) -> Latencies:
    """Send seven likes, two comments and a new description of ten requests."""
    like = likes(system.tokens, system.videos)
    comment, describe = comments(system), descriptions(system)
    every = max(1, round(rate / _WATCHED_A_SECOND))
    async with connections(system.url, _CONNECTIONS) as api:

        async def send(number: int) -> bool:
            tens, ones = divmod(number, 10)
            if ones < 7:
                message = like(tens * 7 + ones)
            else:
                message = comment(tens * 2 + ones) if ones < 9 else describe(tens)
            answer = await api.send(message)
            statuses[answer.status] += 1
            if number // 10 % every == 0:
                token = answer.header(consistency.HEADER)
                stores.add(consistency.decode(token), time.perf_counter())
            return answer.status < 300

        return await open_loop(send, rate, seconds)


def _text(statuses: Mapping[int, int]) -> dict[str, int]:
    """Return how often each status was answered, as JSON has it."""
    return {str(status): count for status, count in sorted(statuses.items())}


def _shares(found: Mapping[str, Seen]) -> dict[str, dict[str, float]]:
    shares = {}
    for store, seen in found.items():
        ordered, looks = sorted(seen.took_ms), sorted(seen.looks_ms)
        shares[store] = {
            "samples": float(len(ordered)),
            "p50": percentile(ordered, 0.50),
            "p95": percentile(ordered, 0.95),
            "p99": percentile(ordered, 0.99),
            "looks": float(len(looks)),
            "look_p50": percentile(looks, 0.50),
        }
    return shares


def _result(runs: Runs) -> Result:
    figures = []
    last = list(runs)[-1]
    for rate, loads in runs.items():
        for store, name in _NAMES.items():
            target = f"≤ {TARGETS_MS[store]:,.0f} ms" if rate == last else ""
            figures += [
                Figure(f"{name} at {rate}/s, p50", "ms", _spread(loads, store, "p50")),
                Figure(f"{name} at {rate}/s, p95", "ms", _spread(loads, store, "p95"), target),
            ]
        answered = Spread.of(load["p95_ms"] for load in loads)
        figures.append(Figure(f"Answered at {rate}/s, p95", "ms", answered))
    failed = Spread.of(float(load["failed"]) for loads in runs.values() for load in loads)
    figures.append(Figure("Failed requests, each run", "", failed, "0"))
    return Result(
        about=(
            "From a command's answer until each store shows what it did, of likes (70 %), comments "
            "(20 %) and new descriptions of videos (10 %) over HTTP, open loop, everything running "
            "on the same cores. A store shows an event when all its projections that read it have "
            "applied it, OpenSearch when searches find it."
        ),
        figures=figures,
        raw=runs,
        libraries=("faust-streaming", "asyncpg", "redis", "clickhouse-connect", "opensearch-py"),
        plots=(_plot(runs),),
    )


def _plot(runs: Runs) -> Plot:
    return Plot(
        name="freshness",
        title="From a command's answer until a store shows it, p95",
        x="commands a second",
        y="milliseconds",
        series=tuple(
            Series(
                name,
                tuple((float(rate), _spread(runs[rate], store, "p95").median) for rate in runs),
            )
            for store, name in _NAMES.items()
        ),
    )


def _spread(loads: Sequence[Mapping[str, Any]], store: str, share: str) -> Spread:
    return Spread.of(load["visible_ms"][store][share] for load in loads)
