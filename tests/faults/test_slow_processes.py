"""A process is much slower than the others: it falls behind, and nobody minds."""

from __future__ import annotations

import pytest

from tests.faults.rounds import SEEDS, under_load
from tests.support.api import Api
from tests.support.streamhub import COMMANDS, PROCESSORS, PROJECTIONS, StreamHub
from tests.support.videos import Backstage
from tests.support.workload import Workload


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", [COMMANDS, PROJECTIONS, PROCESSORS])
async def test_a_slow_process_catches_up(
    streamhub: StreamHub, api: Api, backstage: Backstage, name: str, seed: int
) -> None:
    """W4, R1, R2, R6: it keeps its partitions, takes everything in once, and has no lag then."""
    pid = streamhub.pid(name)

    async def slow_down(workload: Workload) -> None:
        await workload.reached(0.1)
        async with streamhub.slowed(name):
            await workload.reached(0.7)

    await under_load(streamhub, api, backstage, seed, slow_down)
    assert streamhub.pid(name) == pid, "it was taken for dead"
