"""Holding a rebuild to a rate, so that it leaves the stores to others."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pacer:
    """Lets ``rate`` records a second pass; any number where it is 0."""

    rate: float = 0.0
    _due: float = field(default_factory=time.monotonic)

    async def spend(self, records: int) -> None:
        """Wait until so many records may have passed."""
        if self.rate <= 0:
            return
        now = time.monotonic()
        self._due = max(self._due, now) + records / self.rate
        await asyncio.sleep(max(0.0, self._due - now))
