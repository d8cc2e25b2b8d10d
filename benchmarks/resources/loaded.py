"""What every process takes while people use the system: processor time a command, and memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from benchmarks.commands.load import open_loop
from benchmarks.commands.people import Sender, likes
from benchmarks.commands.system import System, populate
from benchmarks.http_client import connections
from benchmarks.resources.memory import bytes_of_processes
from infra.settings import Settings
from infra.supervisor.client import SupervisorClient

RATE = 100.0
#: Servers in Java take several times as long for what they have not compiled yet.
WARM_UP_S, SECONDS = 120.0, 60.0
_PEOPLE, _VIDEOS, _CONNECTIONS = 20, 20, 64


class LikesFailed(RuntimeError):
    """Some likes were not answered rightly: what they took means nothing."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """By process: milliseconds of a core a like, and bytes at the end."""

    cpu_ms: Mapping[str, float]
    memory: Mapping[str, int]


def under_load(settings: Settings, supervisor: SupervisorClient, warm_up_s: float) -> Loaded:
    """Have likes come at a fixed rate, and say what each process took for one.

    Raises:
        LikesFailed: one of them failed.
    """
    return asyncio.run(_under_load(settings, supervisor, warm_up_s))


async def _under_load(settings: Settings, supervisor: SupervisorClient, warm_up_s: float) -> Loaded:
    system = System(settings, f"http://127.0.0.1:{settings.port}", {})
    await populate(system, _PEOPLE, _VIDEOS)
    async with connections(system.url, _CONNECTIONS) as api:
        people = Sender(likes(system.tokens, system.videos), api)
        await open_loop(people.send, RATE, warm_up_s)
        before = _cpu_seconds(supervisor)
        found = await open_loop(people.send, RATE, SECONDS)
    after = _cpu_seconds(supervisor)
    if found.failed:
        raise LikesFailed(f"{found.failed} of {found.sent} failed")
    used = {name: (after[name] - before[name]) * 1000 / found.sent for name in before}
    return Loaded(used, bytes_of_processes(supervisor))


def _cpu_seconds(supervisor: SupervisorClient) -> dict[str, float]:
    """Return the processor time of each process so far, its children's included."""
    return {
        status.name: _of_tree(status.pid)
        for status in supervisor.status()
        if status.pid is not None
    }


def _of_tree(pid: int) -> float:
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
    return total
