"""Load on HTTP endpoints, open loop and closed loop.

Open: requests leave on time, whether or not answers came, and latency counts from the moment a
request was due, so that a stall is not hidden by the requests that it held back (coordinated
omission). Closed: each client sends its next request when it has the answer to the last one, which
finds the highest rate but says little of waiting.
"""

from __future__ import annotations

import asyncio
import itertools
import math
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
    #: From the first request due to the last one answered.
    seconds: float

    @classmethod
    def of(cls, latencies: list[float], failed: int, seconds: float) -> Latencies:
        """Return what the latencies of those requests come to that were answered rightly."""
        ordered = sorted(latencies)
        return cls(
            sent=len(ordered) + failed,
            failed=failed,
            p50_ms=percentile(ordered, 0.50),
            p95_ms=percentile(ordered, 0.95),
            p99_ms=percentile(ordered, 0.99),
            max_ms=ordered[-1] if ordered else 0.0,
            seconds=seconds,
        )

    @property
    def rate(self) -> float:
        """Return right answers a second."""
        return (self.sent - self.failed) / self.seconds


def percentile(ordered: list[float], share: float) -> float:
    """Return the value that ``share`` of an ordered list does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def open_loop(
    request: Callable[[int], Awaitable[bool]],
    rate: float,
    seconds: float = math.inf,
    until: asyncio.Event | None = None,
) -> Latencies:
    """Call ``request(number)`` at a rate, for a while or until an event; says whether it was right.

    Returns when the last call has.
    """
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
    for number in itertools.count():
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if due >= started + seconds or (until is not None and until.is_set()):
            break
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    return Latencies.of(latencies, failed, time.perf_counter() - started)


async def closed_loop(
    request: Callable[[int], Awaitable[bool]], clients: int, seconds: float
) -> Latencies:
    """Have so many clients call ``request(number)``, each again and again, for a while."""
    latencies: list[float] = []
    failed = 0
    numbers = itertools.count()
    started = time.perf_counter()
    end = started + seconds

    async def client() -> None:
        nonlocal failed
        while (began := time.perf_counter()) < end:
            try:
                right = await request(next(numbers))
            except (OSError, TimeoutError):
                right = False
            if right:
                latencies.append((time.perf_counter() - began) * 1000)
            else:
                failed += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return Latencies.of(latencies, failed, time.perf_counter() - started)
