"""All projections built anew while people write and read: what they notice of it, which is nothing.

The load is open loop at several rates. Each read carries the token of its reader's last command,
so that a page that shows less than that reader knows is stale.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.commands.load import Latencies, open_loop
from benchmarks.commands.system import System, whole_system
from benchmarks.http_client import Connections, connections, request
from benchmarks.processes import MeasurementFailed
from benchmarks.rebuild.readers import Complaints, Public, statuses
from benchmarks.report import Figure, Result, Spread
from projections.registry import PROJECTIONS

SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
#: Commands and queries a second.
LOADS = ((25.0, 100.0), (100.0, 400.0), (500.0, 2_000.0))
WARM_UP = (50.0, 200.0)
WARM_UP_S = 30.0
#: How long the load lasts before the rebuild begins and after it has ended.
_MARGIN_S = 3.0
_REST_S = 5.0
#: As many films as shares may be under way at once.
_PEOPLE, _VIDEOS, _CONNECTIONS = 20, 200, 2_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How a rebuild of everything ended."""

    seconds: float
    projections: int
    differing: int


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Rebuild everything under each load, again in every round."""
    loads = LOADS[:1] if quick else LOADS
    runs: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        async with (
            whole_system(servers, Path(folder), _PEOPLE, _VIDEOS) as system,
            connections(system.url, _CONNECTIONS) as api,
        ):
            owner = await _owner(system, api)
            public = Public(system, api, owner)
            await _together(public, WARM_UP, seconds=WARM_UP_S)
            for _ in range(rounds):
                for load in loads:
                    await asyncio.sleep(_REST_S)
                    name = f"{load[0]:.0f} commands/s and {load[1]:.0f} queries/s"
                    runs.setdefault(name, []).append(await _round(public, load))
    return _result(runs)


async def _owner(system: System, api: Connections) -> str:
    """Return who published the films."""
    answer = await api.send(request("GET", f"/api/v1/videos/{system.videos[0]}"))
    owner: str = orjson.loads(answer.body)["data"]["creator"]["id"]
    return owner


async def _round(public: Public, load: tuple[float, float]) -> dict[str, Any]:
    """Load the system until a rebuild of everything has ended; say what people met meanwhile."""
    public.complaints = Complaints()
    over = asyncio.Event()
    loading = asyncio.create_task(_together(public, load, until=over))
    try:
        await asyncio.sleep(_MARGIN_S)
        rebuilt = await _rebuild()
        await asyncio.sleep(_MARGIN_S)
    finally:
        over.set()
        commands, reads = await loading
    complaints = public.complaints
    return {
        "seconds": max(commands.seconds, reads.seconds),
        "rebuild_s": rebuilt.seconds,
        "projections": rebuilt.projections,
        "differing": rebuilt.differing,
        "commands": commands.sent,
        "reads": reads.sent,
        "failed_commands": statuses(complaints.commands),
        "failed_reads": statuses(complaints.reads),
        "stale_reads": len(complaints.stale),
        "commands_p95_ms": commands.p95_ms,
        "reads_p95_ms": reads.p95_ms,
    }


async def _together(
    public: Public, load: tuple[float, float], **lasting: Any
) -> tuple[Latencies, Latencies]:
    commands, queries = load
    return await asyncio.gather(
        open_loop(public.share, commands, **lasting), open_loop(public.look, queries, **lasting)
    )


async def _rebuild() -> Rebuilt:
    """Rebuild, compare and switch everything, as an operator does.

    Raises:
        MeasurementFailed: the command failed.
    """
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", "projections", "rebuild", "all", "--json"),
        env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate()
    if process.returncode:
        raise MeasurementFailed(f"the rebuild ended with {process.returncode}: {complaint!r}")
    rows = orjson.loads(output)
    differing = sum(len(row["differing"]) for row in rows)
    return Rebuilt(time.perf_counter() - started, len(rows), differing)


def _result(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Result:
    figures = []
    for load, those in runs.items():
        figures += [
            Figure(f"{load}: commands answered", "commands/s", _rate(those, "commands")),
            Figure(f"{load}: queries answered", "queries/s", _rate(those, "reads")),
            Figure(f"{load}: rebuilt in", "s", _spread(those, "rebuild_s")),
            Figure(f"{load}: rows that differ", "", _spread(those, "differing"), "0"),
            Figure(f"{load}: failed reads", "", _count(those, "failed_reads"), "0"),
            Figure(f"{load}: stale reads", "", _spread(those, "stale_reads"), "0"),
            Figure(f"{load}: failed commands", "", _count(those, "failed_commands"), "0"),
            Figure(f"{load}: reads, p95", "ms", _spread(those, "reads_p95_ms")),
            Figure(f"{load}: commands, p95", "ms", _spread(those, "commands_p95_ms")),
        ]
    return Result(
        about=(
            f"All {len(PROJECTIONS)} projections built anew, compared row by row and switched, by "
            "`streamhub projections rebuild all`, while people share films and ask for watch "
            "pages, comments, followers, searches and trends, each with the token of their last "
            "share: open loop, so that what is more than the machine bears waits, for one of "
            f"{_CONNECTIONS:,} connections too, until it is over. A read is stale when it shows "
            "fewer shares than its reader knows of. Everything and the load generator share the "
            "cores."
        ),
        figures=figures,
        raw={"runs": {name: list(those) for name, those in runs.items()}},
        libraries=("confluent-kafka", "faust-streaming", "fastapi", "uvicorn", "asyncpg"),
    )


def _spread(runs: Sequence[Mapping[str, Any]], what: str) -> Spread:
    return Spread.of(float(run[what]) for run in runs)


def _rate(runs: Sequence[Mapping[str, Any]], what: str) -> Spread:
    """Return how many of a kind were answered a second; a failure is no answer."""
    return Spread.of(
        (run[what] - sum(run[f"failed_{what}"].values())) / run["seconds"] for run in runs
    )


def _count(runs: Sequence[Mapping[str, Any]], what: str) -> Spread:
    return Spread.of(float(sum(run[what].values())) for run in runs)
