"""Faults of all kinds, one after another, as long as an operator likes: ``make faults``.

Each round puts clients to work, breaks something at a random moment, and ends with every store
equal to a fresh fold of the log. The seed of a round decides what is broken, and when.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable

from infra.bootstrap.core import Core
from tests.conftest import Servers
from tests.faults.rounds import under_load
from tests.support.api import Api
from tests.support.full_disks import FULL
from tests.support.operators import called, operate
from tests.support.servers import ServerControl
from tests.support.streamhub import COMMANDS, PROCESSES, PROJECTIONS, StreamHub
from tests.support.videos import Backstage
from tests.support.workload import Workload

MINUTES = float(os.environ.get("STREAMHUB_FAULT_MINUTES", "0"))
FIRST_SEED = int(os.environ.get("STREAMHUB_FAULT_SEED", "1"))
_KILLED_SERVERS = ("kafka", "postgres", "redis", "clickhouse", "opensearch", "s3")
_AWAY_S = (5.0, 20.0)
#: Longer than a session of a consumer group: the process wakes up as a zombie.
_FROZEN_S = (1.0, 15.0)
_SERVER_FROZEN_S = (1.0, 5.0)

Fault = Callable[[Workload], Awaitable[None]]
#: What a fault is called -> what makes it.
Kinds = dict[str, Callable[[], Awaitable[None]]]


async def test_a_campaign_of_faults_ends_clean(
    streamhub: StreamHub, servers: Servers, api: Api, backstage: Backstage
) -> None:
    """W1 to W7, R1, R2: one round at least, then until the minutes are over."""
    ends = time.monotonic() + 60 * MINUTES
    seed = FIRST_SEED
    while seed == FIRST_SEED or time.monotonic() < ends:
        choice = random.Random(seed)
        name, fault = _fault(choice, streamhub, ServerControl(servers), backstage.core)
        print(f"round {seed}: {name}", flush=True)  # noqa: T201 - the campaign's own report
        await under_load(streamhub, api, backstage, seed, fault)
        seed += 1


def _fault(
    choice: random.Random, streamhub: StreamHub, control: ServerControl, core: Core
) -> tuple[str, Fault]:
    """Return a fault and what it is called."""
    kinds = {
        **_of_processes(choice, streamhub),
        **_of_servers(choice, control),
        **_of_disks(choice, control, core),
    }
    moment = choice.uniform(0.05, 0.8)
    name = choice.choice(list(kinds))

    async def happen(workload: Workload) -> None:
        await workload.reached(moment)
        await kinds[name]()

    return name, happen


def _of_processes(choice: random.Random, streamhub: StreamHub) -> Kinds:
    process = choice.choice(list(PROCESSES))
    frozen_s = choice.uniform(*_FROZEN_S)
    slow_s = choice.uniform(*_AWAY_S)

    async def kill_process() -> None:
        streamhub.kill(process)

    async def freeze_process() -> None:
        with streamhub.paused(process):
            await asyncio.sleep(frozen_s)

    async def slow_process() -> None:
        async with streamhub.slowed(process):
            await asyncio.sleep(slow_s)

    async def kill_all_workers() -> None:
        for name in (COMMANDS, PROJECTIONS):
            streamhub.kill(name)

    async def kill_rebuild() -> None:
        async with called(streamhub, "projections", "rebuild", "all"):
            await asyncio.sleep(frozen_s)
        ended = await operate(streamhub, "projections", "rebuild", "all", "--json")
        assert ended.code == 0, ended.complaint
        assert (await operate(streamhub, "projections", "prune", "all")).code == 0

    async def share_partitions() -> None:
        async with called(streamhub, "worker", PROJECTIONS) as guest:
            asyncio.get_running_loop().call_later(slow_s, guest.terminate)
            await guest.communicate()

    return {
        f"a second reader for {slow_s:.0f} s": share_partitions,
        f"kill -9 {process}": kill_process,
        f"{process} stands still for {frozen_s:.0f} s": freeze_process,
        f"{process} is slow for {slow_s:.0f} s": slow_process,
        "kill -9 command and projection workers": kill_all_workers,
        "kill -9 of a rebuild": kill_rebuild,
    }


def _of_servers(choice: random.Random, control: ServerControl) -> Kinds:
    server = choice.choice(_KILLED_SERVERS)
    away_s = choice.uniform(*_AWAY_S)
    frozen_s = choice.uniform(*_SERVER_FROZEN_S)

    async def kill_server() -> None:
        await control.kill(server)

    async def stop_server() -> None:
        with control.stopped(server):
            await asyncio.sleep(away_s)

    async def freeze_server() -> None:
        pid = control.status(server).pid
        assert pid is not None, f"{server} does not run"
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(frozen_s)
        finally:
            os.kill(pid, signal.SIGCONT)

    return {
        f"kill -9 {server}": kill_server,
        f"{server} is away for {away_s:.0f} s": stop_server,
        f"{server} stands still for {frozen_s:.0f} s": freeze_server,
    }


def _of_disks(choice: random.Random, control: ServerControl, core: Core) -> Kinds:
    store = choice.choice(list(FULL))
    full_s = choice.uniform(*_AWAY_S)

    async def fill_store() -> None:
        async with FULL[store](core, control):
            await asyncio.sleep(full_s)

    return {f"{store} full for {full_s:.0f} s": fill_store}
