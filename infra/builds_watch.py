"""Lets the runners of a process follow what operators decide: holds, switches, pauses."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Sequence

import structlog

from infra.postgres.builds import PostgresBuilds
from projections.declaration import Store
from projections.ports import StoreUnavailable
from projections.runner import Runner

log = structlog.get_logger(__name__)

_BEAT_S = 1.0
_HELD_POLL_S = 0.02


class BuildsWatch:
    """Obeys the orders of some runners' stores for as long as ``run`` does."""

    def __init__(self, builds: PostgresBuilds, runners: Sequence[tuple[Store, Runner]]) -> None:
        self._builds = builds
        self._runners = runners
        self._instance = str(uuid.uuid4())
        self._obeyed: dict[Store, int] = {}

    async def join(self) -> None:
        """Be known as readers before the first batch is applied."""
        await asyncio.gather(*(self._obey(store, runner) for store, runner in self._runners))

    async def run(self) -> None:
        """Obey for ever; while Postgres is away nobody can give orders either.

        Raises:
            BatchMissing: a projection was resumed, and the process must start anew.
        """
        beating = asyncio.create_task(self._beat())
        try:
            while True:
                with contextlib.suppress(StoreUnavailable):
                    async with self._builds.changes(len(self._runners)) as events:
                        followed = zip(self._runners, events, strict=True)
                        await asyncio.gather(*(self._follow(*r, event) for r, event in followed))
                await asyncio.sleep(_BEAT_S)
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        """Say every second that the readers are alive, whatever they are busy with."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                for store, runner in self._runners:
                    epoch = self._obeyed.get(store, 0)
                    await self._builds.beat(runner.name, self._instance, store, epoch)
            await asyncio.sleep(_BEAT_S)

    async def _follow(self, store: Store, runner: Runner, changed: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_S):
                    await changed.wait()
            changed.clear()
            await self._obey(store, runner)

    async def _obey(self, store: Store, runner: Runner) -> None:
        order = await self._builds.order(store)
        if order.epoch == self._obeyed.get(store):
            return
        async with runner.standing:
            self._obeyed[store] = order.epoch
            await self._builds.beat(runner.name, self._instance, store, order.epoch)
            while (await self._builds.order(store)).held:  # noqa: ASYNC110 - another's order
                await asyncio.sleep(_HELD_POLL_S)
            await runner.reload()
        log.info("builds_reloaded", reader=runner.name, epoch=order.epoch)

    async def leave(self) -> None:
        """Say that nobody need wait for these readers any more."""
        with contextlib.suppress(StoreUnavailable):
            await self._builds.leave(self._instance)
