"""A server goes away and comes back while clients are at work: nothing is lost or doubled."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from tests.conftest import Servers
from tests.faults.rounds import SEEDS, under_load
from tests.support.api import Api
from tests.support.servers import ServerControl
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage
from tests.support.workload import Workload


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["kafka", "postgres", "redis", "clickhouse", "opensearch"])
async def test_a_killed_server_loses_and_doubles_nothing(
    streamhub: StreamHub, servers: Servers, api: Api, backstage: Backstage, name: str, seed: int
) -> None:
    """W7, R2: each server is killed once under load; what follows needs no hand."""
    control = ServerControl(servers)

    async def kill(workload: Workload) -> None:
        await workload.reached(0.3)
        await control.kill(name)

    await under_load(streamhub, api, backstage, seed, kill)


async def test_a_store_that_lost_everything_is_filled_again(
    streamhub: StreamHub, api: Api, backstage: Backstage
) -> None:
    """R2: the store's own position is the truth; one that went back is caught up from the log."""
    namespace = backstage.core.settings.namespace
    before = streamhub.pid("projections")

    async def forget(workload: Workload) -> None:
        await workload.reached(0.3)
        async with Redis.from_url(backstage.core.places.redis) as redis:
            keys = [key async for key in redis.scan_iter(f"{namespace}*", count=1000)]
            assert keys
            await redis.delete(*keys)

    await under_load(streamhub, api, backstage, 1, forget)
    assert streamhub.pid("projections") != before, "the worker never noticed"
