"""Waiting for what happens in other processes: a condition with a deadline, never a fixed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.05


async def eventually(
    what: str,
    look: Callable[[], Awaitable[T | None]],
    timeout_s: float = 30.0,
    poll_s: float = POLL_S,
) -> T:
    """Return the first true value of ``look``; fail with the last value when the time is over.

    What ``look`` asserts may fail as often as it likes until then.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        seen: object = None
        try:
            found = await look()
            if found:
                return found
            seen = found
        except AssertionError as error:
            seen = error
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s, last seen: {seen}"
        await asyncio.sleep(poll_s)
