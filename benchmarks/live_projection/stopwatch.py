"""The clock of a contestant: from the first record it is given to the last one applied.

All contestants stand on aiokafka, whose fetcher hands out every record that they see. The clock
starts when it does so for the first time; imports, connecting and joining the group come before.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka.consumer.fetcher import Fetcher


class Stopwatch:
    """Seconds on the wall and on the processor; ``finished`` is set when all events are applied."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.applied = 0
        self.finished = asyncio.Event()
        self._started = (0.0, 0.0)
        self._ended = (0.0, 0.0)
        self._watch()

    def _watch(self) -> None:
        """Start with the next records that the fetcher hands out, then leave it as it was."""
        original = Fetcher.fetched_records

        async def fetched_records(fetcher: Any, *arguments: Any, **options: Any) -> Any:
            records = await original(fetcher, *arguments, **options)
            if records:
                Fetcher.fetched_records = original
                self._started = _now()
            return records

        Fetcher.fetched_records = fetched_records

    def count(self, events: int) -> None:
        """Note that so many more events are committed."""
        self.applied += events
        if self.applied >= self.events and not self.finished.is_set():
            self._ended = _now()
            self.finished.set()

    def reading(self) -> dict[str, float]:
        """Return what was measured."""
        wall, processor = (
            end - start for end, start in zip(self._ended, self._started, strict=True)
        )
        return {"applied": self.applied, "wall_s": wall, "cpu_s": processor}


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()
