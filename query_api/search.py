"""Search: one handler behind three routes, and completions while typing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, StringConstraints

from events.errors import Invalid
from projections.accounts import ACCOUNTS
from projections.video_index import VIDEO_INDEX
from projections.watch_page import WATCH_PAGE
from query_api.cards import CARDS, Card, cards
from query_api.reading import Queries, QueryServices, fresh, made_once
from schemas.http.envelope import ApiModel, Envelope, RequestModel
from schemas.http.paging import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_PAGE,
    Page,
    decode_cursor,
    encode_cursor,
    page_meta,
)
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=API, tags=["search"], route_class=Route)

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
_CREATORS_MAX = 50
#: Ties are broken by id, so that pages neither repeat nor skip.
_SORTS: Mapping[str, str] = {
    "relevance": "_score",
    "views": "views",
    "likes": "likes",
    "uploadDate": "upload_date",
    "uploadedAt": "upload_date",
    "duration": "duration",
}
_COUNTERS = frozenset({"views", "likes"})
#: Bounds in seconds of what the filter calls short, medium and long.
_DURATIONS = {"short": (None, 240), "medium": (240, 1200), "long": (1200, None)}


class SearchBody(RequestModel):
    """What is searched for; every filter narrows, an empty ``q`` finds everything."""

    q: Text = ""
    category: Annotated[str, StringConstraints(max_length=50)] | None = None
    tags: Annotated[tuple[str, ...], Field(max_length=10)] = ()
    duration: Literal["short", "medium", "long"] | None = None
    uploaded_after: datetime | None = None
    uploaded_before: datetime | None = None
    sort: str = "-relevance"
    page: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 1
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None

    def wanted_page(self) -> Page:
        cursor = decode_cursor(self.cursor) if self.cursor else None
        return Page(self.page, self.limit, cursor)


class Completion(ApiModel):
    text: str
    video_id: str


_FRESH = [Depends(fresh(VIDEO_INDEX, WATCH_PAGE, ACCOUNTS))]
#: OpenSearch answers offsets up to here; beyond, only a cursor goes on.
_WINDOW_MAX = 10_000


async def _query(
    q: Text = "",
    category: Annotated[str | None, Query(max_length=50)] = None,
    tags: Annotated[list[str] | None, Query(max_length=10)] = None,
    duration: Literal["short", "medium", "long"] | None = None,
    uploaded_after: Annotated[datetime | None, Query(alias="uploadedAfter")] = None,
    uploaded_before: Annotated[datetime | None, Query(alias="uploadedBefore")] = None,
    sort: str = "-relevance",
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> SearchBody:
    return SearchBody(
        q=q,
        category=category,
        tags=tuple(tags or ()),
        duration=duration,
        uploaded_after=uploaded_after,
        uploaded_before=uploaded_before,
        sort=sort,
        page=page,
        limit=limit,
        cursor=cursor,
    )


#: The greatest value that OpenSearch sorts by: that of a signed integer of 64 bits.
_SORT_VALUE_MAX = 2**63 - 1


@router.get("/search", response_model=Envelope[list[Card]], dependencies=_FRESH)
@router.get("/videos/search", response_model=Envelope[list[Card]], dependencies=_FRESH)
async def search(wanted: Annotated[SearchBody, Depends(_query)], services: Queries) -> bytes:
    """Find public videos by words in title, tags, description and the creator's name."""
    return await _search(services, wanted)


@router.post("/videos/search", response_model=Envelope[list[Card]], dependencies=_FRESH)
async def search_by_body(wanted: SearchBody, services: Queries) -> bytes:
    """Find public videos, filters in the body."""
    return await _search(services, wanted)


@router.get("/search/autocomplete", dependencies=[Depends(fresh(VIDEO_INDEX))])
async def autocomplete(
    services: Queries,
    q: Annotated[Text, Query(min_length=1)],
    limit: Annotated[int, Query(ge=1, le=20)] = 8,
) -> Envelope[list[Completion]]:
    """Complete what is being typed from the titles of public videos."""
    fields = ["title.typed", "title.typed._2gram", "title.typed._3gram"]
    answer = await services.search.search(
        "videos",
        {
            "size": limit,
            "_source": ["title"],
            "query": {
                "bool": {
                    "must": {"multi_match": {"query": q, "type": "bool_prefix", "fields": fields}},
                    "filter": _listed(),
                }
            },
            "sort": ["_score", {"views": "desc"}],
        },
    )
    return Envelope(
        data=[
            Completion(text=hit["_source"]["title"], video_id=hit["_id"])
            for hit in answer["hits"]["hits"]
        ]
    )


async def _search(services: QueryServices, wanted: SearchBody) -> bytes:
    find = partial(_found, services, wanted)
    return await made_once(services, ("search", wanted.model_dump_json()), CARDS, find)


async def _found(services: QueryServices, wanted: SearchBody) -> Envelope[list[Card]]:
    page = wanted.wanted_page()
    if page.offset + page.limit > _WINDOW_MAX:
        raise Invalid.field("page", "is too far; go on with the cursor")
    creators = await _creators(services, wanted.q) if wanted.q else []
    body = _body(wanted, page, creators)
    answer = await services.search.search("videos", body)
    hits = answer["hits"]["hits"]
    found = await cards(services, [hit["_id"] for hit in hits])
    next_cursor = encode_cursor(hits[-1]["sort"]) if len(hits) == page.limit else None
    total = answer["hits"]["total"]["value"]
    return Envelope(data=found, meta=page_meta(page, total, next_cursor, query=wanted.q))


async def _creators(services: QueryServices, text: str) -> list[str]:
    """Return the ids of creators of that name."""
    answer = await services.search.search(
        "creators",
        {"size": _CREATORS_MAX, "_source": False, "query": {"match": {"creator_name": text}}},
    )
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def _body(wanted: SearchBody, page: Page, creators: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "size": page.limit,
        "_source": False,
        "track_total_hits": True,
        "query": {"bool": {"must": _words(wanted.q, creators), "filter": _filters(wanted)}},
        "sort": _sort(wanted.sort),
    }
    if page.cursor is not None:
        body["search_after"] = _after(page.cursor, wanted.sort)
    else:
        body["from"] = page.offset
    return body


def _after(cursor: tuple[Any, ...], sort: str) -> list[Any]:
    """Return the sort values of the row that a cursor names.

    Counters, durations and times in milliseconds are integers, relevance is none.
    """
    value, name = cursor if len(cursor) == 2 else (0, None)
    is_score = sort.removeprefix("-") == "relevance"
    kinds = (int, float) if is_score else (int,)
    fits = type(value) in kinds and abs(value or 0) <= _SORT_VALUE_MAX
    if not fits or not isinstance(name, str):
        raise Invalid.field("cursor", "is not a cursor of this list")
    return [value, name]


def _words(text: str, creators: list[str]) -> dict[str, Any]:
    """Return the ranking (SH-73): title three times, tags twice, description once."""
    if not text:
        return {"match_all": {}}
    fields = ["title^3", "tags.words^2", "description"]
    words = {"multi_match": {"query": text, "type": "most_fields", "fields": fields}}
    if not creators:
        return words
    by_creator = {"terms": {"creator_id": creators}}
    return {"bool": {"should": [words, by_creator], "minimum_should_match": 1}}


def _listed() -> list[dict[str, Any]]:
    return [
        {"term": {"status": "ready"}},
        {"term": {"visibility": "public"}},
        {"bool": {"must_not": [{"term": {"blocked": True}}, {"term": {"deleted": True}}]}},
    ]


def _filters(wanted: SearchBody) -> list[dict[str, Any]]:
    filters = _listed()
    if wanted.category is not None:
        filters.append({"term": {"category": wanted.category}})
    filters.extend({"term": {"tags": tag}} for tag in wanted.tags)
    shortest, longest = _DURATIONS.get(wanted.duration or "", (None, None))
    filters += _range("duration", gte=shortest, lt=longest)
    filters += _range(
        "upload_date",
        gte=wanted.uploaded_after and wanted.uploaded_after.isoformat(),
        lte=wanted.uploaded_before and wanted.uploaded_before.isoformat(),
    )
    return filters


def _range(name: str, **bounds: Any) -> list[dict[str, Any]]:
    known = {bound: value for bound, value in bounds.items() if value is not None}
    return [{"range": {name: known}}] if known else []


def _sort(text: str) -> list[dict[str, Any]]:
    name = text.removeprefix("-")
    if name not in _SORTS:
        raise Invalid.field("sort", f"must be one of {', '.join(_SORTS)}, with '-' for descending")
    order = "desc" if text.startswith("-") or name == "relevance" else "asc"
    # A counter that nothing has touched is absent, and means 0.
    missing = {"missing": 0} if name in _COUNTERS else {}
    return [{_SORTS[name]: {"order": order, **missing}}, {"id": {"order": "desc"}}]
