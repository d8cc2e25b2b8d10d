"""Lets the runners of a process follow what operators decide: holds, switches, pauses."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

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
        #: The order for which each runner has come to a stand, and the one that it has carried out.
        self._heard: dict[Store, int] = {}
        self._obeyed: dict[Store, int] = {}

    async def join(self) -> None:
        """Be known as readers before the first batch is applied."""
        await asyncio.gather(*(self._obey(store, runner) for store, runner in self._runners))

    async def run(self) -> None:
        """Obey for ever; while Postgres is away nobody can give orders either.

        Raises:
            BatchMissing: a projection was resumed, and the process must start anew.
        """
        async with _cancelled_at_the_end(self._beat()):
            while True:
                with contextlib.suppress(StoreUnavailable):
                    await self._follow_all()
                await asyncio.sleep(_BEAT_S)

    async def _follow_all(self) -> None:
        async with self._builds.changes(len(self._runners)) as events:
            followed = zip(self._runners, events, strict=True)
            work = [self._follow(*runner, event) for runner, event in followed]
            async with _cancelled_at_the_end(*work) as following:
                await asyncio.gather(*following)

    async def _beat(self) -> None:
        """Say every second that the readers are alive, whatever they are busy with."""
        while True:
            with contextlib.suppress(StoreUnavailable):
                for store, runner in self._runners:
                    epoch = self._heard.get(store, 0)
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
            self._heard[store] = order.epoch
            await self._builds.beat(runner.name, self._instance, store, order.epoch)
            while (await self._builds.order(store)).held:  # noqa: ASYNC110 - another's order
                await asyncio.sleep(_HELD_POLL_S)
            await runner.reload()
            await runner.show()
            self._obeyed[store] = order.epoch
        log.info("builds_reloaded", reader=runner.name, epoch=order.epoch)

    async def leave(self) -> None:
        """Say that nobody need wait for these readers any more."""
        with contextlib.suppress(StoreUnavailable):
            await self._builds.leave(self._instance)


@contextlib.asynccontextmanager
async def _cancelled_at_the_end(
    *work: Coroutine[Any, Any, None],
) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """Run coroutines side by side, none of them longer than the body."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
