"""One build of the watch page in a process of its own; prints what it took as JSON.

python -m benchmarks.growth.build --processes … --events … --videos …

A process of its own, because a process's peak of memory cannot be set back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass

import psutil

from benchmarks.log_verify.rows import peak_bytes
from infra.bootstrap.core import Core, open_core
from infra.collector import relieve_collector
from infra.memory import keep_freed_memory
from infra.postgres.builds import BuildState
from infra.postgres.sink import physical
from infra.rebuild.helpers import build_together
from infra.rebuild.operations import begin_builds, remove_builds
from infra.rebuild.rebuilding import Rebuild
from infra.settings import Settings
from projections.declaration import Projection
from projections.event_loop import new_event_loop
from projections.watch_page import VIDEOS, WATCH_PAGE


class WrongCounts(RuntimeError):
    """The table that was built is not what the log says: what it cost means nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a build took. ``start_cpu_s`` is what starting the helpers took, and is in ``cpu_s``."""

    wall_s: float
    cpu_s: float
    start_cpu_s: float
    postgres_cpu_s: float
    peak_bytes: int


async def measure(processes: int, events: int, videos: int) -> Reading:
    """Build from offset 0, check what was built, and remove it."""
    async with open_core(Settings()) as core:
        relieve_collector()
        keep_freed_memory()
        [target] = await begin_builds(core, [WATCH_PAGE])
        postgres = await _postgres(core)
        made = Rebuild(core, [target])
        postgres_before, before, began = _tree_cpu_s(postgres), _cpu_s(), time.perf_counter()
        await build_together(made, processes)
        wall_s, cpu_s = time.perf_counter() - began, _cpu_s() - before
        postgres_cpu_s, peak = _tree_cpu_s(postgres) - postgres_before, _peak_bytes()
        await _verify(core, target, events, videos)
        start_cpu_s = await _start_cpu_s(made, processes)
        await remove_builds(core, [WATCH_PAGE], [BuildState.BUILDING])
    return Reading(wall_s, cpu_s, start_cpu_s, postgres_cpu_s, peak)


async def _start_cpu_s(made: Rebuild, processes: int) -> float:
    """Return what helpers take that find everything built already."""
    if processes == 1:
        return 0.0
    before = _cpu_s()
    await build_together(made, processes)
    return _cpu_s() - before


async def _verify(core: Core, target: Projection, events: int, videos: int) -> None:
    """Fail unless every view was counted once, and every video has its row."""
    row = await core.pool.fetchrow(
        f"SELECT count(*) AS videos, sum(view_count) AS views FROM {physical(VIDEOS, target)}"
    )
    assert row is not None
    if (row["videos"], row["views"]) != (videos, events):
        raise WrongCounts(
            f"{row['views']} views of {row['videos']} videos, not {events} of {videos}"
        )


def _cpu_s() -> float:
    """Return the processor time of this process and of its helpers that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_bytes() -> int:
    """Return the most memory that this process or one of its helpers ever held.

    A helper's peak counts what it was started from, which is less than what it comes to itself.
    """
    return max(peak_bytes(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


async def _postgres(core: Core) -> psutil.Process:
    """Return the process that all of the server's others are children of."""
    backend = psutil.Process(await core.pool.fetchval("SELECT pg_backend_pid()"))
    server = backend.parent()
    assert server is not None
    return server


def _tree_cpu_s(server: psutil.Process) -> float:
    """Return the processor time of a process and its children, those included that have ended."""
    mine = server.cpu_times()
    children = [child.cpu_times() for child in server.children()]
    ended = mine.children_user + mine.children_system
    return float(ended + sum(times.user + times.system for times in (mine, *children)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth.build")
    for option in ("--processes", "--events", "--videos"):
        parser.add_argument(option, type=int, required=True)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        reading = runner.run(measure(chosen.processes, chosen.events, chosen.videos))
    sys.stdout.write(json.dumps(asdict(reading)) + "\n")


if __name__ == "__main__":
    main()
