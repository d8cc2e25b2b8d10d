"""Trends: one set of scores, three shapes of it (cards, scored list, raw scores)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from projections.hot_counters import HOT_COUNTERS
from projections.trending import TRENDING, WINDOWS
from projections.watch_page import WATCH_PAGE
from query_api.cards import CARDS, Card, counted_cards
from query_api.reading import Queries, QueryServices, fresh, has_token, made_once
from schemas.http.envelope import ApiModel, Envelope
from schemas.http.paging import DEFAULT_LIMIT, MAX_LIMIT
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=API, tags=["trending"], route_class=Route)

_LIFE_MS = 600_000
#: A list that is younger is answered as it is, unless the caller insists on what was seen.
_AGE_MS_MAX = 5_000
#: Videos that are private, blocked or gone are left out after scoring: so more are asked for, and
#: twice as many each time that they do not suffice.
_OVER_FETCH = 3

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]


class WindowName(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


class ScoredCard(ApiModel):
    score: float
    video: Card


class Score(ApiModel):
    video_id: str
    score: float


async def scores(
    services: QueryServices, window_name: WindowName, places: range, *, exact: bool
) -> list[Score]:
    """Return scores of a window, highest first, made anew where they are old or must be exact."""
    window = WINDOWS[window_name]
    flat: Sequence[str] = await services.counters.script(
        "trending",
        ["trending:live", f"trending:{window.name}"],
        [
            window.buckets.family,
            time.time(),
            window.buckets.width_s,
            window.span_s,
            window.half_life_s,
            -1 if exact else _AGE_MS_MAX,
            _LIFE_MS,
            places.start,
            places.stop - 1,
        ],
    )
    return [
        Score(video_id=video_id, score=round(float(score), 6))
        for video_id, score in zip(flat[::2], flat[1::2], strict=True)
    ]


async def _scored_cards(
    services: QueryServices, request: Request, window: WindowName, limit: int
) -> list[ScoredCard]:
    made: dict[str, ScoredCard] = {}
    places, exact = range(limit * _OVER_FETCH), has_token(request)
    while True:
        found = await scores(services, window, places, exact=exact)
        by_id = {score.video_id: score.score for score in found}
        for card in await counted_cards(services, list(by_id)):
            made.setdefault(card.id, ScoredCard(score=by_id[card.id], video=card))
        if len(made) >= limit or len(found) < len(places):
            return list(made.values())[:limit]
        # What was made for the first places is exact for the rest as well.
        places, exact = range(places.stop, places.stop + 2 * len(places)), False


_FRESH = [Depends(fresh(TRENDING, HOT_COUNTERS, WATCH_PAGE))]


@router.get("/videos/trending", response_model=Envelope[list[Card]], dependencies=_FRESH)
async def trending_videos(
    services: Queries,
    request: Request,
    window: WindowName = WindowName.DAY,
    limit: Limit = DEFAULT_LIMIT,
) -> bytes:
    """List what is being watched, best first."""

    async def find() -> Envelope[list[Card]]:
        scored = await _scored_cards(services, request, window, limit)
        return Envelope(data=[entry.video for entry in scored])

    question = ("trending", window, limit, has_token(request))
    return await made_once(services, question, CARDS, find)


@router.get("/recommendations/trending", dependencies=_FRESH)
async def trending_scored(
    services: Queries,
    request: Request,
    window: WindowName = WindowName.DAY,
    limit: Limit = DEFAULT_LIMIT,
) -> Envelope[list[ScoredCard]]:
    """List what is being watched with its scores."""
    return Envelope(data=await _scored_cards(services, request, window, limit))


@router.get("/analytics/trending", dependencies=_FRESH)
async def trending_scores(
    services: Queries,
    request: Request,
    window: WindowName = WindowName.DAY,
    limit: Limit = DEFAULT_LIMIT,
) -> Envelope[list[Score]]:
    """List the scores of public videos alone."""
    scored = await _scored_cards(services, request, window, limit)
    return Envelope(data=[Score(video_id=entry.video.id, score=entry.score) for entry in scored])
