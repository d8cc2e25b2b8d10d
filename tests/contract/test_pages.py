"""Pages of videos that are asked for together: each as its own viewer may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import orjson
import pytest_asyncio

from events.base import Event
from infra.postgres.database import open_pool
from infra.postgres.rows import PostgresRows
from infra.postgres.sink import PostgresSink
from projections.accounts import ACCOUNTS
from projections.watch_page import WATCH_PAGE
from query_api.reading import Look
from query_api.videos import read_pages
from tests.conftest import Servers
from tests.contract.history import liked
from tests.contract.stores import PostgresStore
from tests.contract.test_search import HISTORY, Pictures, steps, video_id
from tests.unit.events.known import ADA, BEN, CLEO

HARBOUR, TRAINS = video_id("Harbour at dawn"), video_id("Slow trains")
SECRET, BLOCKED, DELETED = (
    video_id(f"Harbour, {how}") for how in ("private", "blocked", "deleted")
)


@pytest_asyncio.fixture(scope="module")
async def rows(servers: Servers) -> AsyncIterator[PostgresRows]:
    servers.need("postgres")
    store = PostgresStore(servers["postgres"])
    await store.open()
    pool = await open_pool(store.url(servers["postgres"]), max_size=2)
    sink, projections = PostgresSink(pool), [WATCH_PAGE, ACCOUNTS]
    events: list[Event] = [*HISTORY, liked(HARBOUR)]
    await sink.prepare(projections)
    await sink.apply(steps(projections, events))
    yield PostgresRows(pool)
    await pool.close()
    await store.close()


async def seen(rows: PostgresRows, *looks: Look) -> list[str | None]:
    """Return the titles that are seen; None where there is no page."""
    pages = await read_pages(rows, Pictures(), looks)
    assert pages.keys() <= set(looks)
    return [orjson.loads(pages[look])["data"]["title"] if look in pages else None for look in looks]


def look(video: str, viewer: str | None = None, *, is_admin: bool = False) -> Look:
    return Look(UUID(video), viewer, is_admin)


async def test_everybody_gets_the_page_that_they_asked_for(rows: PostgresRows) -> None:
    """Private and blocked videos are their owner's and the admins', deleted ones are nobody's."""
    everybody = [look(HARBOUR), look(SECRET), look(TRAINS), look(SECRET, BEN), look(SECRET, ADA)]
    assert await seen(rows, *everybody) == [
        "Harbour at dawn",
        None,
        "Slow trains",
        None,
        "Harbour, private",
    ]
    admin = look(BLOCKED, CLEO, is_admin=True)
    others = [look(BLOCKED, ADA), look(BLOCKED, BEN), admin, look(DELETED, ADA)]
    assert await seen(rows, *others) == ["Harbour, blocked", None, "Harbour, blocked", None]


async def test_what_a_page_says_of_its_viewer_is_said_of_no_other(rows: PostgresRows) -> None:
    looks = [look(HARBOUR), look(HARBOUR, BEN), look(HARBOUR, ADA), look(TRAINS, BEN)]
    pages = await read_pages(rows, Pictures(), looks)
    likes = [orjson.loads(pages[each])["data"]["liked"] for each in looks]
    assert likes == [False, True, False, False]
    blocked = [look(BLOCKED, ADA), look(HARBOUR, ADA)]
    pages = await read_pages(rows, Pictures(), blocked)
    assert [orjson.loads(pages[each])["data"]["blocked"] for each in blocked] == [True, False]
