"""A store has no room left for a while: its readers wait, and no record is blamed for it."""

from __future__ import annotations

import asyncio
from itertools import islice, permutations

import pytest

from infra.dead_letters.topic import Filters, read_letters
from tests.conftest import Servers
from tests.faults.rounds import SEEDS, under_load
from tests.support.api import Api, sign_up
from tests.support.full_disks import FULL
from tests.support.servers import ServerControl
from tests.support.streamhub import PROJECTIONS, StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually
from tests.support.workload import Workload

#: How long there is no room once the readers have met that.
_FULL_S = 5.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", sorted(FULL))
async def test_a_full_store_is_waited_for(
    streamhub: StreamHub, servers: Servers, api: Api, backstage: Backstage, name: str, seed: int
) -> None:
    """R2, R3: nothing is buried, the same process goes on when there is room again."""
    core, control = backstage.core, ServerControl(servers)
    before = await _letters(backstage)
    pid = streamhub.pid(PROJECTIONS)
    waits = streamhub.logged(PROJECTIONS, "store_unavailable")

    # The load may be over before the disk is full, and make too few rows to need a new page.
    people = [await sign_up(api) for _ in range(6)]
    follows = permutations(people, 2)
    video = await backstage.ready_video(people[0])

    async def fill(workload: Workload) -> None:
        await workload.reached(0.1)
        async with FULL[name](core, control):

            async def met() -> bool:
                for follower, creator in islice(follows, 2):
                    await follower.post(f"/users/{creator.id}/follow")
                for method in ("POST", "DELETE"):
                    await people[0].call(method, f"/videos/{video}/like")
                return streamhub.logged(PROJECTIONS, "store_unavailable") > waits

            await eventually("readers that wait for room", met, 60.0)
            await asyncio.sleep(_FULL_S)

    await under_load(streamhub, api, backstage, seed, fill)
    assert await _letters(backstage) == before, "a record was blamed for the store"
    assert streamhub.pid(PROJECTIONS) == pid, "the reader did not wait"


async def _letters(backstage: Backstage) -> int:
    letters = await read_letters(backstage.core.places.kafka)
    try:
        return len([*letters.chosen(Filters())])
    finally:
        await letters.close()
