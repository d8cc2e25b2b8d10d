"""A rebuild is killed again and again: readers never notice, and it goes on where it was."""

from __future__ import annotations

import asyncio
import random

import pytest

from projections.registry import PROJECTIONS
from tests.faults.rounds import SEEDS, under_load
from tests.support.api import Api
from tests.support.operators import called, operate
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage
from tests.support.workload import Workload

_KILLS = 3
#: A rebuild of all projections takes a few seconds here, most of them to start.
_LONGEST_LIFE_S = 6.0


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_killed_rebuild_goes_on_and_ends_with_the_same_rows(
    streamhub: StreamHub, api: Api, backstage: Backstage, seed: int
) -> None:
    """R1, section 7 of the design: killed at random moments, then verified and switched."""
    choice = random.Random(seed)
    rebuild = ("projections", "rebuild", "all", "--processes", "2")

    async def kill(workload: Workload) -> None:
        for _ in range(_KILLS):
            async with called(streamhub, *rebuild):
                await asyncio.sleep(choice.uniform(0.5, _LONGEST_LIFE_S))
        ended = await operate(streamhub, *rebuild, "--json")
        assert ended.code == 0, ended.complaint
        assert {row["projection"] for row in ended.data} == {p.name for p in PROJECTIONS}
        assert all(row["differing"] == [] for row in ended.data)

    await under_load(streamhub, api, backstage, seed, kill)
    assert (await operate(streamhub, "projections", "prune", "all")).code == 0
