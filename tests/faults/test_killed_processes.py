"""A process is killed while clients are at work: nothing is lost, nothing is doubled."""

from __future__ import annotations

import pytest

from tests.faults.rounds import SEEDS, under_load
from tests.support.api import Api
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage
from tests.support.workload import Workload


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["commands", "projections", "api"])
async def test_a_killed_process_loses_and_doubles_nothing(
    streamhub: StreamHub, api: Api, backstage: Backstage, name: str, seed: int
) -> None:
    """W3, W4, W5, W7, R1, R2: killed twice under load, restarted by the supervisor alone."""

    async def kill_twice(workload: Workload) -> None:
        for share in (0.2, 0.5):
            await workload.reached(share)
            pid = streamhub.kill(name)
            await streamhub.wait_ready(name, but_not=pid)

    workload = await under_load(streamhub, api, backstage, seed, kill_twice)
    if name == "api":
        assert workload.retries, "no client ever noticed that the API was killed"
