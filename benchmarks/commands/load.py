"""Open-loop load on the command endpoints: requests leave on time, whether or not answers came.

Latency counts from the moment a request was due, so that a stall is not hidden by the requests
that it held back (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from due to answered, and how many requests failed."""

    sent: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def percentile(ordered: list[float], share: float) -> float:
    """Return the value that ``share`` of an ordered list does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def open_loop(
    request: Callable[[int], Awaitable[bool]], rate: float, seconds: float
) -> Latencies:
    """Call ``request(number)`` at a rate for a while; it says whether the answer was right."""
    total = int(rate * seconds)
    latencies: list[float] = []
    failed = 0
    started = time.perf_counter()

    async def one(number: int, due: float) -> None:
        nonlocal failed
        try:
            right = await request(number)
        except (OSError, TimeoutError):
            right = False
        if right:
            latencies.append((time.perf_counter() - due) * 1000)
        else:
            failed += 1

    tasks = []
    for number in range(total):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    latencies.sort()
    return Latencies(
        sent=total,
        failed=failed,
        p50_ms=percentile(latencies, 0.50),
        p95_ms=percentile(latencies, 0.95),
        p99_ms=percentile(latencies, 0.99),
        max_ms=latencies[-1] if latencies else 0.0,
    )
