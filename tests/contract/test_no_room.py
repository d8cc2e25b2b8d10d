"""What a store says when it has no room, or may not write for now, is not blamed on a record."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from projections.ports import StoreUnavailable
from projections.watch_page import WATCH_PAGE
from tests.conftest import Servers
from tests.contract.history import come_to, engagement, some_videos
from tests.contract.stores import OpenSearchStore, PostgresStore, RedisStore
from tests.contract.test_sinks import known, steps

#: disk_full, io_error, internal_error (a file that may not grow), a standby, a lock that is held.
_NOT_NOW = ("53100", "58030", "XX000", "25006", "55P03")
_REFUSED = "23514"


@pytest.mark.parametrize("state", [*_NOT_NOW, _REFUSED])
async def test_postgres_that_cannot_write_is_unavailable(
    postgres: PostgresStore, state: str
) -> None:
    """Every error of these states comes from the server itself, by way of a trigger."""
    videos = some_videos(2)
    history = engagement(videos, 10)
    sink = await postgres.sink(postgres.server_url)
    await sink.prepare(postgres.projections)
    connection = await asyncpg.connect(postgres.url(postgres.server_url))
    table = f"videos__{WATCH_PAGE.tag}"
    await connection.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END$$"
    )
    await connection.execute(
        f"CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()"
    )
    expected = asyncpg.CheckViolationError if state == _REFUSED else StoreUnavailable
    with pytest.raises(expected):
        await sink.apply(steps(postgres, history))
    await connection.execute(f"DROP TRIGGER refuse ON {table}")
    await connection.close()
    await sink.apply(steps(postgres, history))
    assert await postgres.read(videos) == known(postgres, come_to(history))
    await postgres.close_sink(sink)


async def test_redis_without_memory_is_unavailable_and_changes_nothing(servers: Servers) -> None:
    """A script that is refused has done nothing: Redis lets one that has begun end."""
    place = RedisStore(servers["redis"])
    sink = await place.sink(place.server_url)
    await sink.prepare(place.projections)
    videos = some_videos(3)
    history = engagement(videos, 30)
    await sink.apply(steps(place, history, 0, 10))
    before = await place.read(videos)
    async with Redis.from_url(place.server_url) as server:
        await server.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreUnavailable, match="when used memory"):
                await sink.apply(steps(place, history, 10))
            with pytest.raises(StoreUnavailable, match="when used memory"):
                await sink.prepare([replace(place.projections[0], name="another")])
        finally:
            await server.config_set("maxmemory", 0)
    assert await place.read(videos) == before
    await sink.apply(steps(place, history, 10))
    assert await place.read(videos) == known(place, come_to(history))
    await sink.close()
    await place.close()


async def test_opensearch_that_makes_no_indexes_is_unavailable(servers: Servers) -> None:
    """Over its high watermark a node makes no index: workers that start wait for room."""
    place = OpenSearchStore(servers["opensearch"])
    sink = await place.sink(place.server_url)

    async def block(*, blocked: bool | None) -> None:
        async with httpx.AsyncClient(base_url=place.server_url) as server:
            body = {"persistent": {"cluster.blocks.create_index": blocked}}
            assert (await server.put("/_cluster/settings", json=body)).status_code == 200

    await block(blocked=True)
    try:
        with pytest.raises(StoreUnavailable, match="403"):
            await sink.prepare(place.projections)
    finally:
        await block(blocked=None)
    await sink.prepare(place.projections)
    await sink.close()
    await place.close()
