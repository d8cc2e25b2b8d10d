"""The builds that readers see, as a process knows them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from infra.postgres.builds import PostgresBuilds
from projections.declaration import Projection, Store

#: For how long what was learnt is believed. A build that was switched a moment ago stood where the
#: former one stands for good, so whoever still asks for that one waits longer, never too short.
_BELIEVED_S = 0.2


class LiveBuilds:
    """Callable with a store; asks Postgres seldom."""

    def __init__(self, builds: PostgresBuilds, projections: Sequence[Projection]) -> None:
        self._builds = builds
        self._projections = projections
        self._known: Sequence[Projection] = ()
        self._ahead: Mapping[str, str] = {}
        self._until = 0.0
        self._learning = asyncio.Lock()

    async def __call__(self, store: Store) -> Sequence[Projection]:
        await self._learn()
        return [projection for projection in self._known if projection.store is store]

    async def trusted(self, store: Store) -> Sequence[Projection]:
        """Return those whose positions mean something: none that is ahead of the log."""
        return [build for build in await self(store) if build.name not in self._ahead]

    async def ahead(self) -> Mapping[str, str]:
        """Return the projections that nobody runs because they are ahead of the log, with where."""
        await self._learn()
        return self._ahead

    async def _learn(self) -> None:
        """Ask again what may be out of date, once for all who want to know at the same time."""
        if time.monotonic() < self._until:
            return
        async with self._learning:
            now = time.monotonic()
            if now >= self._until:
                self._known, self._ahead = await self._builds.standing(self._projections)
                self._until = now + _BELIEVED_S
