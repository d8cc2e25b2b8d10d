"""What an event costs a rebuild as everything grows: the log, its videos, partitions, processes.

One of these differs from a base at a time. Each build runs in a process of its own, so that its
processor time and its peak of memory are those of that build alone.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.commands.system import environment
from benchmarks.growth.build import Reading
from benchmarks.growth.figures import result
from benchmarks.growth.log import Log, make_topics, make_views
from benchmarks.growth.setups import FULL, QUICK, Setup
from benchmarks.live_projection.views import View
from benchmarks.processes import measure_module
from benchmarks.report import Result

SERVERS = ("kafka", "postgres")
#: A build of the watch page asks none of these; StreamHub wants to know where they would be.
_UNASKED = {
    "redis": "redis://127.0.0.1:9",
    "clickhouse": "http://127.0.0.1:9",
    "opensearch": "http://127.0.0.1:9",
    "s3": "http://127.0.0.1:9",
}
VIEWS_MADE, QUICK_VIEWS_MADE = 200_000, 20_000


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Go through all logs; build from each as often and with as many processes as is planned."""
    plan = QUICK if quick else FULL
    made = make_views(QUICK_VIEWS_MADE if quick else VIEWS_MADE)
    readings: dict[Setup, list[Reading]] = {}
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        os.environ.update(environment({**_UNASKED, **servers}, Path(folder)))
        logs: dict[tuple[int, int], list[Setup]] = {}
        for setup in plan.setups():
            logs.setdefault((setup.partitions, setup.videos), []).append(setup)
        for setups in logs.values():
            readings |= await _measure_log(servers["kafka"], made, setups, rounds)
    return result(plan, readings, made)


async def _measure_log(
    bootstrap: str, made: Sequence[View], setups: Sequence[Setup], rounds: int
) -> dict[Setup, list[Reading]]:
    """Write a log in place of the one before, and build from it whenever it is long enough."""
    await make_topics(bootstrap, setups[0].partitions)
    log = Log(bootstrap, made, setups[0].videos)
    readings = {}
    for setup in setups:
        if setup.events > log.events:
            await asyncio.to_thread(log.grow, setup.events)
        readings[setup] = [await _build(setup) for _ in range(rounds)]
    return readings


async def _build(setup: Setup) -> Reading:
    asked = {key: value for key, value in asdict(setup).items() if key != "partitions"}
    options = [word for key, value in asked.items() for word in (f"--{key}", str(value))]
    return Reading(**await measure_module("benchmarks.growth.build", options))
