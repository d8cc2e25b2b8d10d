"""How often each fault is made, and what every fault test ends with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from tests.support.api import Api
from tests.support.positions import settled
from tests.support.stores import check_everything
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage
from tests.support.workload import Workload, prepare_workload
from tests.support.world import fold

#: The seeds of the rounds: as many as ``STREAMHUB_FAULT_ROUNDS`` says.
SEEDS = range(1, 1 + int(os.environ.get("STREAMHUB_FAULT_ROUNDS", "1")))
_SETTLED_TIMEOUT_S = 180.0


async def under_load(
    streamhub: StreamHub,
    api: Api,
    backstage: Backstage,
    seed: int,
    fault: Callable[[Workload], Awaitable[None]],
) -> Workload:
    """Make a fault happen while clients are at work; then everything must be as they were told.

    Nobody helps: the clients retry, the supervisor restarts, and in the end the lag is zero, the
    log is sound, and the four stores agree with it.
    """
    workload = await prepare_workload(api, backstage, seed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(workload.run())
        tasks.create_task(_wait_for(fault(workload)))
    await settled(backstage.core, _SETTLED_TIMEOUT_S)
    log = await check_everything(backstage.core)
    workload.check(log, fold(log))
    await streamhub.wait_ready("api", "commands", "projections", "processors")
    return workload


async def _wait_for(fault: Awaitable[None]) -> None:
    await fault
