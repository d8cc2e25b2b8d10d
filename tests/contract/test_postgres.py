"""What only PostgreSQL does: a step in one statement, and making nothing that is there already."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from events.base import TopicPartition
from infra.postgres.sink import PostgresSink, physical
from projections.declaration import Change, Increment, Put, Remove
from projections.ports import Move, Sink, Step
from projections.registry import PROJECTIONS
from projections.watch_page import WATCH_PAGE
from tests.contract.stores import PostgresStore

_PROJECTIONS = [each for each in PROJECTIONS if each.store is PostgresSink.store]
_WAIT_S = 10.0


@pytest_asyncio.fixture
async def sink(postgres: PostgresStore) -> AsyncIterator[Sink]:
    opened = await postgres.sink(postgres.server_url)
    await opened.prepare(_PROJECTIONS)
    yield opened
    await postgres.close_sink(opened)


async def test_what_is_there_already_is_made_beside_whoever_writes_to_it(
    postgres: PostgresStore, sink: Sink
) -> None:
    """A worker in the middle of a step would wait for the index, and the index for the worker."""
    writer = await asyncpg.connect(postgres.url(postgres.server_url))
    try:
        async with writer.transaction():
            for projection in _PROJECTIONS:
                for table in projection.tables:
                    await writer.execute(
                        f"LOCK TABLE {physical(table, projection)} IN ROW EXCLUSIVE MODE"
                    )
            await asyncio.wait_for(sink.prepare(_PROJECTIONS), _WAIT_S)
    finally:
        await writer.close()


async def test_a_row_that_is_removed_and_made_again_in_a_step_is_as_new(
    postgres: PostgresStore, sink: Sink
) -> None:
    """A step is one statement, and the writes in it do not see each other."""
    film, title = str(uuid.uuid4()), {"title": "A film"}
    source = TopicPartition("events.engagement", 0)
    watched: list[Change] = [
        Put("videos", (film,), title),
        Increment("videos", (film,), {"view_count": 5}),
    ]
    liked = Increment("videos", (film,), {"like_count": 1})
    again: list[Change] = [Remove("videos", (film,)), *watched, liked]
    known = {"views": 5, "title": "A film"}
    await sink.apply([Step(source, [Move(WATCH_PAGE, 0, 2, watched)])])
    assert await postgres.read([film]) == {film: {**known, "likes": 0}}
    await sink.apply([Step(source, [Move(WATCH_PAGE, 2, 6, again)])])
    assert await postgres.read([film]) == {film: {**known, "likes": 1}}
    await sink.apply([Step(source, [Move(WATCH_PAGE, 6, 7, [*again, Remove("videos", (film,))])])])
    assert await postgres.read([film]) == {}


async def test_an_index_that_is_missing_is_made(postgres: PostgresStore, sink: Sink) -> None:
    names = [
        f"{physical(table, WATCH_PAGE)}_{number}"
        for table in WATCH_PAGE.tables
        for number, _ in enumerate(table.indexes)
    ]
    connection = await asyncpg.connect(postgres.url(postgres.server_url))
    try:
        await connection.execute(f"DROP INDEX {names[0]}")
        await sink.prepare([WATCH_PAGE])
        found = await connection.fetch("SELECT indexname FROM pg_indexes")
    finally:
        await connection.close()
    assert {*names} <= {row["indexname"] for row in found}
