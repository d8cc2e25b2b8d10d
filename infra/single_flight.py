"""One answer for all who ask the same question at the same time.

Unlike what Go's library of that name does, whoever asks while the answer is already being made gets
the next one: no answer is older than its question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

A = TypeVar("A")


class SingleFlight:
    """Makes one answer to a question at a time, and one more for those who ask meanwhile."""

    def __init__(self) -> None:
        self._flying: dict[Hashable, asyncio.Task[Any]] = {}
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}

    async def once(self, question: Hashable, make: Callable[[], Awaitable[A]]) -> A:
        """Return what ``make`` returns, here or where the same was asked; raises what it raises."""
        flight = self._waiting.get(question)
        if flight is None:
            flight = self._waiting[question] = asyncio.create_task(self._fly(question, make))
            # Whoever asked may be gone.
            flight.add_done_callback(_heard)
        # Others may wait for the same answer when a request is given up.
        answer: A = await asyncio.shield(flight)
        return answer

    async def _fly(self, question: Hashable, make: Callable[[], Awaitable[A]]) -> A:
        before = self._flying.get(question)
        if before is not None:
            await asyncio.wait([before])
        self._flying[question] = self._waiting.pop(question)
        try:
            return await make()
        finally:
            del self._flying[question]


def _heard(flight: asyncio.Task[Any]) -> None:
    if not flight.cancelled():
        flight.exception()
