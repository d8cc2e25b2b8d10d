"""How fast a live projection follows the log: StreamHub, bare clients, plain Faust, and peers.

All of them read the same records from the same servers, in turns, each run in a process of its own
with a database of its own, and must come to the same counts; who takes one event at a time gets no
further than a sample, of which none may be counted twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from benchmarks.environments import absent, python_of, versions
from benchmarks.live_projection import log
from benchmarks.live_projection.views import Views
from benchmarks.processes import measure_module
from benchmarks.report import Figure, Result, Spread

SERVERS = ("kafka", "postgres")
EVENTS, QUICK_EVENTS = 200_000, 50_000

CONTESTANTS = ("streamhub", "bare", "faust_take", "faust_one_by_one")
#: Events that an agent applies one at a time: enough to know its rate.
ONE_BY_ONE_EVENTS = 5_000


@dataclass(frozen=True, slots=True)
class Peer:
    """Another library that does the same work, in an environment of its own."""

    title: str
    module: str
    environment: str = "peers"


PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        "bytewax": Peer("Bytewax", "benchmarks.peers.bytewax_count"),
        "arroyo": Peer("Sentry arroyo", "benchmarks.peers.arroyo_count"),
        "faststream": Peer("FastStream", "benchmarks.peers.faststream_count"),
        "quixstreams": Peer(
            "Quix Streams", "benchmarks.peers.quixstreams_count", environment="quixstreams"
        ),
    }
)
#: Contestant -> its runs, one a round.
Runs = dict[str, list[dict[str, Any]]]


class WrongCounts(RuntimeError):
    """A contestant's table is not what the log says: its speed means nothing."""


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Write the log once, then let the contestants take turns."""
    views = Views(QUICK_EVENTS if quick else EVENTS)
    await log.make_topics(servers["kafka"])
    log.append(servers["kafka"], views)
    runs: Runs = {name: [] for name in (*CONTESTANTS, *_peers_here())}
    for number in range(rounds):
        for name in _order(list(runs), number):
            runs[name].append(await _run_one(servers, name, number, views))
    return _result(runs, sum(views.counts().values()))


def _peers_here() -> list[str]:
    """Return the peers that are installed, and say which are not."""
    found = []
    for name, peer in PEERS.items():
        if python_of(peer.environment) is None:
            print(absent(peer.environment, peer.title))
        else:
            found.append(name)
    return found


def _order(names: list[str], number: int) -> list[str]:
    """Return the contestants in another order each round: none is always the first."""
    shift = number % len(names)
    return names[shift:] + names[:shift]


async def _run_one(
    servers: Mapping[str, str], name: str, number: int, views: Views
) -> dict[str, Any]:
    run_name = f"benchmark_{name}_{number}"
    counts = views.counts()
    is_sample = name == "faust_one_by_one"
    async with database(servers["postgres"], run_name) as url:
        events = ONE_BY_ONE_EVENTS if is_sample else sum(counts.values())
        options = ["--kafka", servers["kafka"], "--postgres", url, "--run", run_name]
        options += ["--events", str(events)]
        peer = PEERS.get(name)
        python = python_of(peer.environment) if peer else None
        if peer and python:
            found = await measure_module(peer.module, options, python)
        else:
            found = await measure_module("benchmarks.live_projection.contestant", [name, *options])
        await _verify(url, counts, events, name)
    return {**found, "events_per_second": events / found["wall_s"]}


@asynccontextmanager
async def database(url: str, name: str) -> AsyncIterator[str]:
    """Make an empty database and drop it at the end."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


async def _verify(url: str, counts: Mapping[str, int], events: int, name: str) -> None:
    """Fail unless so many events were counted, and none twice."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT video_id, view_count FROM view_counts")
    finally:
        await connection.close()
    found = Counter({str(row["video_id"]): row["view_count"] for row in rows})
    if found.total() < events or not found <= Counter(counts):
        raise WrongCounts(f"{name}: the table does not hold what the log says")


def _result(runs: Runs, events: int) -> Result:
    return Result(
        about=(
            f"{events:,} views in {log.PARTITIONS} partitions, counted by video into Postgres, "
            "counts and positions in one transaction a batch. StreamHub: a projection through its "
            "runner, sink and Faust worker. Bare: aiokafka and asyncpg by hand. Plain Faust: an "
            f"agent that takes one event after another, measured on {ONE_BY_ONE_EVENTS:,} of them, "
            "and one with take(5000). Peers: the same work in other libraries, on confluent-kafka "
            "and psycopg; they neither validate nor look at headers."
        ),
        figures=(
            Figure(
                "StreamHub / plain Faust agent, events/s",
                "x",
                _ratio(runs, "faust_one_by_one"),
                "≥ 10",
            ),
            Figure(
                "StreamHub / Faust with take, events/s", "x", _ratio(runs, "faust_take"), "≥ 10"
            ),
            Figure("StreamHub / bare, events/s", "x", _ratio(runs, "bare"), "≥ 0.5"),
            Figure("StreamHub / bare, events a core-second", "x", _work_ratio(runs, "bare")),
            Figure("StreamHub", "events/s", _rates(runs, "streamhub")),
            Figure("Bare aiokafka and asyncpg", "events/s", _rates(runs, "bare")),
            Figure("Plain Faust agent", "events/s", _rates(runs, "faust_one_by_one")),
            Figure("Faust with take", "events/s", _rates(runs, "faust_take")),
            Figure("StreamHub, processor time an event", "µs", _processor(runs, "streamhub")),
            *(figure for name, peer in PEERS.items() for figure in _peer_figures(runs, name, peer)),
        ),
        raw=runs,
        libraries=("aiokafka", "asyncpg", "faust-streaming", "orjson", "pydantic", "uvloop"),
        beside={
            **versions("peers", "bytewax", "sentry-arroyo", "faststream"),
            **versions("quixstreams", "quixstreams"),
        },
    )


def _peer_figures(runs: Runs, name: str, peer: Peer) -> list[Figure]:
    if name not in runs:
        return []
    return [
        Figure(f"StreamHub / {peer.title}, events/s", "x", _ratio(runs, name)),
        Figure(f"StreamHub / {peer.title}, events a core-second", "x", _work_ratio(runs, name)),
        Figure(peer.title, "events/s", _rates(runs, name)),
        Figure(f"{peer.title}, processor time an event", "µs", _processor(runs, name)),
    ]


def _rates(runs: Runs, name: str) -> Spread:
    return Spread.of(one["events_per_second"] for one in runs[name])


def _ratio(runs: Runs, other: str) -> Spread:
    """Return the ratios round by round: both met the machine in much the same state."""
    pairs = zip(runs["streamhub"], runs[other], strict=True)
    return Spread.of(a["events_per_second"] / b["events_per_second"] for a, b in pairs)


def _work_ratio(runs: Runs, other: str) -> Spread:
    """Return how much more of its own processor time an event takes elsewhere, round by round.

    Others on the machine make everybody slow, but this hardly.
    """
    pairs = zip(runs["streamhub"], runs[other], strict=True)
    return Spread.of(b["cpu_s"] / b["applied"] / (a["cpu_s"] / a["applied"]) for a, b in pairs)


def _processor(runs: Runs, name: str) -> Spread:
    return Spread.of(one["cpu_s"] / one["applied"] * 1e6 for one in runs[name])
