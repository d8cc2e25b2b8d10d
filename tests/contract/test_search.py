"""What a search finds, over HTTP, with documents in OpenSearch and cards from Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from events import clock
from events.base import Event, Recorded
from events.engagement import VideoViewed
from events.users import UserRegistered
from events.videos import VideoBlocked, VideoCreated, VideoDeleted, VideoReady, Visibility
from infra.http.errors import install_error_handlers
from infra.opensearch.sink import OpenSearchSink
from infra.postgres.database import open_pool
from infra.postgres.rows import PostgresRows
from infra.postgres.sink import PostgresSink
from infra.redis.reader import RedisCounters
from infra.single_flight import SingleFlight
from projections.accounts import ACCOUNTS
from projections.ports import Move, Sink, Step
from projections.video_index import VIDEO_INDEX
from projections.watch_page import WATCH_PAGE
from query_api import search
from query_api.reading import QueryServices
from schemas.http.paths import API
from tests.conftest import Servers
from tests.contract.history import DESCRIPTIONS, viewed
from tests.contract.stores import OpenSearchStore, PostgresStore, own_name
from tests.unit.events.known import ADA, BEN, NOW, metadata_of


class Pictures:
    """Implements ``query_api.reading.MediaStorage`` for cards, whose pictures nobody fetches."""

    def download_url(self, key: str, life: timedelta) -> str:  # noqa: ARG002
        return f"https://pictures.example/{key}"

    async def read(self, key: str) -> bytes | None:  # noqa: ARG002
        return None


def video_id(title: str) -> str:
    return clock.id_from("found", title)


def shown(
    title: str,
    *,
    description: str = "",
    tags: Sequence[str] = (),
    category: str = "travel",
    visibility: Visibility = Visibility.PUBLIC,
    creator: str = ADA,
    seconds: float = 60.0,
    views: int = 0,
) -> list[Event]:
    """Return the history of a video that is ready."""
    video = video_id(title)
    created = VideoCreated(
        video_id=video,
        creator_id=creator,
        title=title,
        description=description,
        tags=tuple(tags),
        category=category,
        visibility=visibility,
        source_key="source",
    )
    ready = VideoReady(
        video_id=video,
        creator_id=creator,
        duration_seconds=seconds,
        width=1280,
        height=720,
        codec="h264",
        bitrate=1_000_000,
        format="mp4",
        file_size=1,
        master_key="master.m3u8",
        thumbnail_key="thumbnail.jpg",
        renditions=(),
    )
    return [created, ready, *(_view(video) for _ in range(views))]


def _view(video: str) -> VideoViewed:
    return viewed(video)


def registered(user: str, username: str) -> UserRegistered:
    return UserRegistered(
        user_id=user, username=username, email=f"{username}@example.org", password_hash="hash"
    )


def of(title: str, gone: type[VideoDeleted] | type[VideoBlocked]) -> Event:
    ids = {"video_id": video_id(title), "creator_id": ADA}
    return VideoBlocked(**ids, reason="nsfw") if gone is VideoBlocked else VideoDeleted(**ids)


HISTORY: list[Event] = [
    registered(ADA, "ada"),
    registered(BEN, "ben"),
    *shown("Harbour at dawn", tags=["sea", "slow"], seconds=90, views=3),
    *shown("Slow trains", description="From harbour to harbour", seconds=600, views=5),
    *shown(
        "Cooking at sea",
        description="On a slow day, in a harbour",
        tags=["food"],
        category="food",
        seconds=3_000,
        views=1,
    ),
    *shown("Mountain huts", creator=BEN, seconds=200),
    *shown("Harbour, unlisted", visibility=Visibility.UNLISTED),
    *shown("Harbour, private", visibility=Visibility.PRIVATE),
    *shown("Harbour, deleted"),
    of("Harbour, deleted", VideoDeleted),
    *shown("Harbour, blocked"),
    of("Harbour, blocked", VideoBlocked),
    shown("Harbour, in the making")[0],
]
SHOWN = ["Harbour at dawn", "Slow trains", "Cooking at sea", "Mountain huts"]


def steps(projections: Iterable[Any], events: Sequence[Event]) -> list[Step]:
    """Return the events as one step; each is an hour younger than the one before it."""
    recorded = [
        Recorded(event, metadata_of(event, n + 1, NOW + timedelta(hours=n)), DESCRIPTIONS, n, "key")
        for n, event in enumerate(events)
    ]
    moves = [
        Move(
            projection,
            0,
            len(events),
            [
                change
                for one in recorded
                if type(one.event) in projection.events
                for change in projection.evolve(one)
            ],
        )
        for projection in projections
    ]
    return [Step(DESCRIPTIONS, moves)]


class NeverAsked:
    """Stands where a query without a token has nothing to wait for, or no need to look."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


@pytest_asyncio.fixture(scope="module")
async def client(servers: Servers) -> AsyncIterator[httpx.AsyncClient]:
    """An API with nothing but searches, over the history above."""
    servers.need("postgres", "opensearch", "redis")
    documents, rows = OpenSearchStore(servers["opensearch"]), PostgresStore(servers["postgres"])
    await rows.open()
    pool = await open_pool(rows.url(servers["postgres"]), max_size=2)
    counters = RedisCounters(servers["redis"], own_name())
    opensearch = OpenSearchSink(servers["opensearch"], documents.namespace)
    await fill(opensearch, [VIDEO_INDEX])
    await fill(PostgresSink(pool), [WATCH_PAGE, ACCOUNTS])
    app = FastAPI()
    app.include_router(search.router)
    install_error_handlers(app)
    nobody: Any = NeverAsked()
    app.state.queries = QueryServices(
        rows=PostgresRows(pool),
        pages=nobody,
        together=SingleFlight(),
        counters=counters,
        analytics=nobody,
        search=documents.reader,
        media=Pictures(),
        links=nobody,
        freshness=nobody,
        stream_url_life=timedelta(hours=1),
        public_url="",
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://api{API}") as opened:
        yield opened
    await opensearch.close()
    await counters.close()
    await pool.close()
    await rows.close()
    await documents.close()


async def fill(sink: Sink, projections: Sequence[Any]) -> None:
    await sink.prepare(projections)
    await sink.apply(steps(projections, HISTORY))


async def titles(client: httpx.AsyncClient, path: str = "/search", **query: Any) -> list[str]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [card["title"] for card in answer.json()["data"]]


async def test_words_count_most_in_titles_then_in_tags_then_in_descriptions(
    client: httpx.AsyncClient,
) -> None:
    """SH-73; and only what is public, ready, unblocked and there is found."""
    assert await titles(client, q="slow") == ["Slow trains", "Harbour at dawn", "Cooking at sea"]
    assert set(await titles(client, q="harbour")) == {*SHOWN[:3]}


async def test_a_search_without_words_finds_everything_that_is_shown(
    client: httpx.AsyncClient,
) -> None:
    assert sorted(await titles(client)) == sorted(SHOWN)


async def test_a_creator_is_found_by_name(client: httpx.AsyncClient) -> None:
    assert await titles(client, q="ben") == ["Mountain huts"]


async def test_a_card_tells_what_a_list_shows(client: httpx.AsyncClient) -> None:
    """SH-69: the shape of the answer."""
    answer = (await client.get("/search", params={"q": "dawn", "limit": 5})).json()
    (card,) = answer["data"]
    assert datetime.fromisoformat(card.pop("uploadedAt"))
    assert card == {
        "id": video_id("Harbour at dawn"),
        "title": "Harbour at dawn",
        "thumbnail": "https://pictures.example/thumbnail.jpg",
        "views": 3,
        "likes": 0,
        "duration": 90.0,
        "creator": {"id": ADA, "username": "ada", "avatar": None},
    }
    meta = answer["meta"]
    found = {name: meta[name] for name in ("query", "page", "limit", "total", "totalPages")}
    assert found == {"query": "dawn", "page": 1, "limit": 5, "total": 1, "totalPages": 1}


async def test_what_is_asked_at_the_same_time_is_answered_to_whoever_asked(
    client: httpx.AsyncClient,
) -> None:
    """Equal searches are made once; what makes them different is never lost in that."""
    wanted: list[dict[str, Any]] = [
        {"q": "slow", "limit": 2},
        {"q": "slow"},
        {"q": "slow", "limit": 2, "page": 2},
        {"q": "slow", "sort": "views"},
        {"q": "harbour"},
        {"tags": "sea"},
    ]
    alone = [await titles(client, **query) for query in wanted]
    assert len({tuple(found) for found in alone}) == len(wanted)
    together = await asyncio.gather(*(titles(client, **query) for query in wanted * 3))
    assert together == alone * 3


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"category": "food"}, {"Cooking at sea"}),
        ({"tags": "sea"}, {"Harbour at dawn"}),
        ({"duration": "short"}, {"Harbour at dawn", "Mountain huts"}),
        ({"duration": "medium"}, {"Slow trains"}),
        ({"duration": "long"}, {"Cooking at sea"}),
        ({"uploadedBefore": (NOW + timedelta(hours=3)).isoformat()}, {"Harbour at dawn"}),
        ({"uploadedAfter": (NOW + timedelta(hours=12)).isoformat()}, set(SHOWN[2:])),
        ({"q": "harbour", "duration": "medium"}, {"Slow trains"}),
        ({"q": "nothing like it"}, set()),
    ],
)
async def test_filters_narrow_a_search(
    client: httpx.AsyncClient, filters: Mapping[str, str], expected: set[str]
) -> None:
    """SH-74."""
    assert set(await titles(client, **filters)) == expected


BY_VIEWS = ["Slow trains", "Harbour at dawn", "Cooking at sea", "Mountain huts"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("-views", BY_VIEWS),
        ("views", BY_VIEWS[::-1]),
        ("-uploadDate", SHOWN[::-1]),
        ("uploadedAt", SHOWN),
        ("duration", ["Harbour at dawn", "Mountain huts", "Slow trains", "Cooking at sea"]),
    ],
)
async def test_results_are_sorted_as_asked(
    client: httpx.AsyncClient, sort: str, expected: list[str]
) -> None:
    """What nobody has viewed counts as viewed 0 times."""
    assert await titles(client, sort=sort) == expected


@pytest.mark.parametrize("sort", ["-views", "views", "relevance", "uploadDate"])
async def test_pages_and_cursors_go_through_everything_once(
    client: httpx.AsyncClient, sort: str
) -> None:
    whole = await titles(client, sort=sort)
    by_page = [await titles(client, sort=sort, limit=1, page=page) for page in range(1, 6)]
    assert [title for page in by_page for title in page] == whole
    by_cursor, cursor = [], None
    for _ in range(5):
        query: dict[str, Any] = {"sort": sort, "limit": 1, "cursor": cursor}
        known = {name: value for name, value in query.items() if value is not None}
        answer = (await client.get("/search", params=known)).json()
        by_cursor += [card["title"] for card in answer["data"]]
        cursor = answer["meta"].get("nextCursor")
    assert by_cursor == whole
    assert cursor is None


async def test_the_other_routes_answer_the_same(client: httpx.AsyncClient) -> None:
    """SH-41 and PN-08: one query behind three routes."""
    wanted: dict[str, Any] = {"q": "harbour", "sort": "-views", "limit": 2}
    expected = (await client.get("/search", params=wanted)).json()
    assert (await client.get("/videos/search", params=wanted)).json() == expected
    assert (await client.post("/videos/search", json=wanted)).json() == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sort": "colour"}, "sort"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WzFd"}, "cursor"),
        ({"limit": 51}, "limit"),
        ({"page": 1_000, "limit": 50}, "page"),
        ({"duration": "endless"}, "duration"),
        ({"uploadedAfter": "yesterday"}, "uploadedAfter"),
        ({"q": "x" * 201}, "q"),
    ],
)
async def test_a_wrong_filter_is_named(
    client: httpx.AsyncClient, query: Mapping[str, Any], field: str
) -> None:
    answer = await client.get("/search", params=query)
    assert answer.status_code == 400
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == [field]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("har", ["Harbour at dawn"]),
        ("slow tr", ["Slow trains"]),
        ("at d", ["Harbour at dawn", "Cooking at sea"]),
        ("unlisted", []),
    ],
)
async def test_titles_are_completed_while_they_are_typed(
    client: httpx.AsyncClient, typed: str, expected: list[str]
) -> None:
    """SH-70."""
    answer = await client.get("/search/autocomplete", params={"q": typed})
    assert [completion["text"] for completion in answer.json()["data"]] == expected
