"""The command path over HTTP with everything running, and from a backlog."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.commands import beside
from benchmarks.commands.backlog import bare_per_second, decided_per_second
from benchmarks.commands.load import open_loop
from benchmarks.commands.people import Sender, likes
from benchmarks.commands.system import System, whole_system
from benchmarks.environments import versions
from benchmarks.http_client import connections
from benchmarks.peers.beside import TITLE, measure_eventsourcing
from benchmarks.report import Figure, Result, Spread

SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
RATE = 200.0
#: Servers in Java compile what they do often; before that they take several times as long, and
#: for some minutes the compiler itself takes a third of a core.
WARM_UP_S = 150.0
_PEOPLE = 20
_VIDEOS = 20
_CONNECTIONS = 64


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Like and unlike over HTTP at a fixed rate, then without pause; then work off a backlog."""
    seconds, clients_s, backlog = (5.0, 4.0, 5_000) if quick else (20.0, 15.0, 30_000)
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        async with (
            whole_system(servers, Path(folder), _PEOPLE, _VIDEOS) as system,
            connections(system.url, _CONNECTIONS) as api,
        ):
            people = Sender(likes(system.tokens, system.videos), api)
            await open_loop(people.send, RATE, WARM_UP_S)
            loads = [await _round(system, people, seconds) for _ in range(rounds)]
            closed = [
                await beside.measure(
                    system, people, servers["postgres"], Path(folder), number, clients_s
                )
                for number in range(rounds)
            ]
            # Nor is Kafka's code for hundreds of records compiled before the first of these.
            await decided_per_second(system.settings, backlog)
            decided, bare, peers = [], [], []
            for number in range(rounds):
                decided.append(await decided_per_second(system.settings, backlog))
                bare.append(await bare_per_second(system.settings, backlog))
                peer = await measure_eventsourcing(servers["postgres"], number, quick)
                peers += [peer["saves_per_second"]] if peer else []
    return _result(loads, closed, decided, bare, peers)


def _result(
    loads: list[dict[str, Any]],
    closed: list[beside.Found],
    decided: list[float],
    bare: list[float],
    peers: list[float],
) -> Result:
    return Result(
        about=(
            f"Likes and unlikes over HTTP, {RATE:.0f} a second from {_PEOPLE} people on {_VIDEOS} "
            "videos, open loop (latency counts from when a request was due), all projections and "
            "processors running and the load generator on the same cores. Then "
            "nobody reads the events any more, as nobody does of opponents: "
            f"{beside.NAMED} that send again when they are answered, beside as many on a FastAPI "
            f"application that saves such likes by {TITLE} on the same Postgres; and likes that "
            "waited while no processor ran, decided beside a bare idempotent producer of as many "
            f"records, and beside saves of such likes by {TITLE}, one after another."
        ),
        figures=(
            _figure("Answered, p50", loads, "p50_ms"),
            _figure("Answered, p95", loads, "p95_ms", "<= 50 ms"),
            _figure("Answered, p99", loads, "p99_ms"),
            Figure("Failed requests", "", Spread.of(float(r["failed"]) for r in loads), "0"),
            *(
                Figure(f"Processor time a command, {name}", "ms", _cpu(loads, name))
                for name in ("api", "commands", "projections", "processors")
            ),
            *beside.figures(closed),
            Figure("Decided from a backlog", "commands/s", Spread.of(decided)),
            Figure(
                "Decided / bare producer",
                "x",
                Spread.of(d / b for d, b in zip(decided, bare, strict=True)),
            ),
            *_peer_figures(decided, peers),
        ),
        raw={
            "loads": loads,
            "closed_loop": closed,
            "decided_per_second": decided,
            "bare_per_second": bare,
            "eventsourcing_saves_per_second": peers,
        },
        libraries=("confluent-kafka", "aiokafka", "fastapi", "uvicorn", "asyncpg"),
        beside=versions("peers", "eventsourcing"),
    )


def _peer_figures(decided: list[float], peers: list[float]) -> list[Figure]:
    if not peers:
        return []
    ratio = Spread.of(d / p for d, p in zip(decided, peers, strict=True))
    return [
        Figure(f"{TITLE}, saves", "1/s", Spread.of(peers)),
        Figure(f"Decided / {TITLE}", "x", ratio),
    ]


async def _round(system: System, people: Sender, seconds: float) -> dict[str, Any]:
    before = system.cpu_seconds()
    latencies = await open_loop(people.send, RATE, seconds)
    after = system.cpu_seconds()
    used = {name: (after[name] - before[name]) * 1000 / latencies.sent for name in before}
    return {**asdict(latencies), "cpu_ms_a_command": used}


def _figure(name: str, loads: list[dict[str, Any]], key: str, target: str = "") -> Figure:
    return Figure(name, "ms", Spread.of(load[key] for load in loads), target)


def _cpu(loads: list[dict[str, Any]], name: str) -> Spread:
    return Spread.of(load["cpu_ms_a_command"].get(name, 0.0) for load in loads)
