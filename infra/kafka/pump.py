"""Serving a Kafka client from the event loop.

A thread that blocks in the client would take the interpreter from the loop for each message that
comes; a look every few milliseconds finds all that came since, and costs next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AWAITED_S = 0.003
#: What nobody waits for may not pile up.
_IDLE_S = 1.0


class Pump:
    """Calls ``turn``, which may not block, over and over: often while anybody waits for it."""

    def __init__(self, turn: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._turn = turn
        self._waiting = 0
        self._next = self._loop.call_later(_IDLE_S, self._go)

    @property
    def is_awaited(self) -> bool:
        return self._waiting > 0

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Call ``turn`` often as long as the body runs."""
        self._waiting += 1
        if self._waiting == 1:
            self._schedule()
        try:
            yield
        finally:
            self._waiting -= 1

    def _schedule(self) -> None:
        self._next.cancel()
        self._next = self._loop.call_later(_AWAITED_S if self.is_awaited else _IDLE_S, self._go)

    def _go(self) -> None:
        try:
            self._turn()
        finally:
            self._schedule()

    def stop(self) -> None:
        """Call ``turn`` no more; nobody may wait from now on."""
        self._next.cancel()
