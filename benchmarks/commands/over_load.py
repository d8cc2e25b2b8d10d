"""Commands over HTTP at rising load: open loop until it fails, closed loop from 1 client to 64."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.commands.load import Latencies, closed_loop, open_loop
from benchmarks.commands.people import Sender, likes
from benchmarks.commands.system import whole_system
from benchmarks.http_client import connections
from benchmarks.report import Figure, Plot, Result, Series, Spread

SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
RATES = (25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1_600.0)
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
QUICK_CLIENTS = (1, 8, 64)
SECONDS, QUICK_SECONDS = 15.0, 4.0
WARM_UP_S, WARM_UP_RATE = 30.0, 50.0
#: A load fails when so many of its requests do, or answers come so late that a queue must grow.
FAILED_SHARE_MAX, P95_MS_MAX = 0.01, 1_000.0
_REST_S = 3.0
_PEOPLE, _VIDEOS, _CONNECTIONS = 20, 20, 1_000

#: Load as text -> its runs, one a round.
Runs = dict[str, list[dict[str, Any]]]


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Like and unlike at each load, again in every round."""
    seconds, clients = (QUICK_SECONDS, QUICK_CLIENTS) if quick else (SECONDS, CLIENTS)
    borne: list[float] = []
    opened: Runs = {}
    closed: Runs = {}
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        async with (
            whole_system(servers, Path(folder), _PEOPLE, _VIDEOS) as system,
            connections(system.url, _CONNECTIONS) as api,
        ):
            people = Sender(likes(system.tokens, system.videos), api)
            await open_loop(people.send, WARM_UP_RATE, WARM_UP_S)
            for _ in range(rounds):
                borne.append(await _until_failing(people, seconds, opened))
                for count in clients:
                    await asyncio.sleep(_REST_S)
                    found = await closed_loop(people.send, count, seconds)
                    closed.setdefault(str(count), []).append(_described(found))
    return _result(borne, opened, closed)


async def _until_failing(people: Sender, seconds: float, runs: Runs) -> float:
    """Return the highest rate that was borne, 0 where none was."""
    borne = 0.0
    for rate in RATES:
        await asyncio.sleep(_REST_S)
        found = await open_loop(people.send, rate, seconds)
        runs.setdefault(f"{rate:.0f}", []).append(_described(found))
        if failing(found):
            break
        borne = rate
    return borne


def failing(found: Latencies) -> bool:
    """Say whether a load was more than the system bears."""
    return found.failed > FAILED_SHARE_MAX * found.sent or found.p95_ms > P95_MS_MAX


def _described(found: Latencies) -> dict[str, Any]:
    return {**asdict(found), "rate": found.rate, "failing": failing(found)}


def _result(borne: list[float], opened: Runs, closed: Runs) -> Result:
    figures = [Figure("Highest rate that was borne", "commands/s", Spread.of(borne))]
    for rate, loads in opened.items():
        figures.append(Figure(f"At {rate}/s, p50", "ms", _spread(loads, "p50_ms")))
        figures.append(Figure(f"At {rate}/s, p95", "ms", _spread(loads, "p95_ms")))
    for clients, loads in closed.items():
        named = f"{clients} client{'s' if clients != '1' else ''}"
        figures.append(Figure(f"{named} without pause", "commands/s", _spread(loads, "rate")))
        figures.append(Figure(f"{named} without pause, p95", "ms", _spread(loads, "p95_ms")))
    return Result(
        about=(
            f"Likes and unlikes over HTTP from {_PEOPLE} people on {_VIDEOS} videos, everything "
            "running on the same cores. Open loop (latency counts from when a request was due) at "
            f"rates that double until one fails: more than {FAILED_SHARE_MAX:.0%} of the requests, "
            f"or p95 above {P95_MS_MAX:,.0f} ms. Closed loop: clients that send again when they "
            "are answered."
        ),
        figures=figures,
        raw={"borne": borne, "open_loop": opened, "closed_loop": closed},
        libraries=("confluent-kafka", "aiokafka", "fastapi", "uvicorn", "asyncpg"),
        plots=(
            Plot(
                name="commands-latency",
                title="Commands over HTTP, open loop: from due to answered",
                x="commands a second",
                y="milliseconds",
                series=_lines(opened, {"p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms"}),
            ),
            Plot(
                name="commands-throughput",
                title="Commands over HTTP, closed loop: rate by clients",
                x="clients",
                y="commands a second",
                series=_lines(closed, {"answered": "rate"}),
            ),
            Plot(
                name="commands-closed-latency",
                title="Commands over HTTP, closed loop: from sent to answered",
                x="clients",
                y="milliseconds",
                series=_lines(closed, {"p50": "p50_ms", "p95": "p95_ms", "p99": "p99_ms"}),
            ),
        ),
    )


def _spread(loads: Sequence[Mapping[str, Any]], what: str) -> Spread:
    return Spread.of(load[what] for load in loads)


def _lines(runs: Runs, names: Mapping[str, str]) -> tuple[Series, ...]:
    return tuple(
        Series(name, tuple((float(x), _spread(loads, what).median) for x, loads in runs.items()))
        for name, what in names.items()
    )
