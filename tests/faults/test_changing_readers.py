"""Readers come and go every few seconds: partitions change hands in the middle of work."""

from __future__ import annotations

import asyncio
import random

import pytest
from confluent_kafka.admin import AdminClient

from tests.faults.rounds import SEEDS, under_load
from tests.support.api import Api
from tests.support.operators import called
from tests.support.streamhub import PROJECTIONS, StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually
from tests.support.workload import Workload

_GUESTS = 3
#: From when they hold partitions; some are killed in the middle of their first batches.
_STAY_S = (0.0, 3.0)
_GROUP = "streamhub-projections-postgres"


@pytest.mark.parametrize("seed", SEEDS)
async def test_partitions_that_change_hands_lose_and_double_nothing(
    streamhub: StreamHub, api: Api, backstage: Backstage, seed: int
) -> None:
    """R1, R2: a second worker joins, and leaves in order or by force; the first never ends."""
    choice = random.Random(seed)
    pid = streamhub.pid(PROJECTIONS)

    async def shared() -> bool:
        return await asyncio.to_thread(_holders, backstage.core.places.kafka) == 2

    async def come_and_go(workload: Workload) -> None:
        await workload.reached(0.05)
        for number in range(_GUESTS):
            async with called(streamhub, "worker", PROJECTIONS) as guest:
                await eventually("partitions shared by two", shared, 60.0, 0.2)
                await asyncio.sleep(choice.uniform(*_STAY_S))
                if number % 2 == 0:
                    guest.terminate()
                    await asyncio.wait_for(guest.communicate(), 60.0)

    await under_load(streamhub, api, backstage, seed, come_and_go)
    assert streamhub.pid(PROJECTIONS) == pid, "the reader that stayed ended"


def _holders(bootstrap: str) -> int:
    """Return how many members of the group hold partitions, once it has come to rest."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    group = admin.describe_consumer_groups([_GROUP])[_GROUP].result(timeout=10.0)
    if group.state.name != "STABLE":
        return 0
    return sum(bool(member.assignment.topic_partitions) for member in group.members)
