"""Waiting for what happens in other processes: conditions with a deadline, never a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Return once the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {condition}"
        time.sleep(0.02)
