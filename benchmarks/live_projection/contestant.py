"""One run of one contestant in a process of its own; prints what it measured as JSON.

python -m benchmarks.live_projection.contestant streamhub --kafka … --postgres … --events … --run …
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module

import uvloop

from benchmarks.live_projection.place import Place
from benchmarks.live_projection.stopwatch import Stopwatch

Project = Callable[[Place, Stopwatch], Awaitable[None]]

#: Where the ``project`` of each contestant is; a run imports only its own.
CONTESTANTS: Mapping[str, str] = {
    "streamhub": "benchmarks.live_projection.streamhub",
    "bare": "benchmarks.live_projection.bare",
    "faust_take": "benchmarks.live_projection.faust_take",
    "faust_one_by_one": "benchmarks.live_projection.faust_one_by_one",
}
TIMEOUT_S = 600.0


async def measure(project: Project, place: Place, events: int) -> dict[str, float]:
    """Run a contestant until it has applied so many events."""
    stopwatch = Stopwatch(events)
    async with asyncio.timeout(TIMEOUT_S):
        await project(place, stopwatch)
    return stopwatch.reading()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_projection.contestant")
    parser.add_argument("name", choices=CONTESTANTS)
    for option in ("--kafka", "--postgres", "--run"):
        parser.add_argument(option, required=True)
    parser.add_argument("--events", type=int, required=True)
    chosen = parser.parse_args()
    project: Project = import_module(CONTESTANTS[chosen.name]).project
    place = Place(chosen.kafka, chosen.postgres, chosen.run)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        reading = runner.run(measure(project, place, chosen.events))
    sys.stdout.write(json.dumps(reading) + "\n")


if __name__ == "__main__":
    main()
