"""Running the peer ``eventsourcing`` beside StreamHub, on the same Postgres, where it is installed.

This runs in StreamHub's environment, unlike the rest of the package.
"""

from __future__ import annotations

from typing import Any

from benchmarks.environments import absent, python_of
from benchmarks.live_projection.topic import WrongCounts, database
from benchmarks.processes import measure_module

ENVIRONMENT = "peers"
TITLE = "pyeventsourcing"
EVENTS, QUICK_EVENTS = 5_000, 1_000


async def measure_eventsourcing(postgres: str, number: int, quick: bool) -> dict[str, Any] | None:
    """Return its saves and projected events a second; None, and a line, where it is missing.

    Raises:
        WrongCounts: its read model is not what was saved.
    """
    python = python_of(ENVIRONMENT)
    if python is None:
        if number == 0:
            print(absent(ENVIRONMENT, TITLE))
        return None
    events = QUICK_EVENTS if quick else EVENTS
    async with database(postgres, f"benchmark_eventsourcing_{number}") as url:
        options = ["--kafka", "none", "--postgres", url, "--run", "likes", "--events", str(events)]
        found = await measure_module("benchmarks.peers.eventsourcing_likes", options, python)
    if found["counted"] != events:
        raise WrongCounts(f"{TITLE}: {found['counted']} of {events} were counted")
    return found
