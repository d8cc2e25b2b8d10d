"""The memory of a StreamHub: each process's share of physical memory, children included."""

from __future__ import annotations

import time

from infra.native.stack import memory_bytes
from infra.supervisor.client import SupervisorClient

_INTERVAL_S = 3.0
_STEADY_SAMPLES = 3
#: What may still change between samples of something that rests.
_STEADY_SHARE = 0.01
_TIMEOUT_S = 90.0


def idle_bytes(supervisor: SupervisorClient) -> dict[str, int]:
    """Return process -> bytes, once their sum has come to rest or the time for it is over."""
    deadline = time.monotonic() + _TIMEOUT_S
    sums: list[int] = []
    while True:
        found = bytes_of_processes(supervisor)
        sums = [*sums, sum(found.values())][-_STEADY_SAMPLES:]
        if _is_steady(sums) or time.monotonic() > deadline:
            return found
        time.sleep(_INTERVAL_S)


def bytes_of_processes(supervisor: SupervisorClient) -> dict[str, int]:
    """Return process -> bytes as they are now."""
    return {
        status.name: memory_bytes(status.pid)
        for status in supervisor.status()
        if status.pid is not None
    }


def _is_steady(sums: list[int]) -> bool:
    return len(sums) == _STEADY_SAMPLES and max(sums) - min(sums) <= _STEADY_SHARE * max(sums)
