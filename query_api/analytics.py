"""Figures of one video: totals for whoever may see it, days for its owner."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from events import clock
from events.errors import Invalid
from projections.viewing import VIEWING
from projections.watch_page import WATCH_PAGE
from query_api.reading import Queries, Row, fresh
from query_api.videos import visible_video
from schemas.http.caller import AnyCaller
from schemas.http.envelope import ApiModel, Envelope
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=f"{API}/analytics", tags=["analytics"], route_class=Route)

_DAYS_DEFAULT = 30
_DAYS_MAX = 366
_TOTALS = (
    "SELECT count() AS views, uniqExact(ifNull(toString(user_id), session_id)) AS unique_viewers, "
    "ifNotFinite(avg(watch_duration), 0) AS avg_watch_duration, "
    "sum(watch_duration) AS total_watch_time "
    "FROM views WHERE video_id = {video:UUID}"
)
_REACTIONS = (
    "SELECT event_type, count() AS n FROM engagement WHERE video_id = {video:UUID} "
    "GROUP BY event_type"
)
_DAILY = (
    "SELECT day, views, unique_viewers, avg_watch_duration, total_watch_time "
    "FROM video_stats_daily WHERE video_id = {video:UUID} "
    "AND day >= {first:Date} AND day <= {last:Date} ORDER BY day"
)


class Figures(ApiModel):
    """Times are seconds; viewers are counted by account, or by session where nobody signed in."""

    views: int
    unique_viewers: int
    avg_watch_duration: float
    total_watch_time: float


class Day(Figures):
    day: date


class VideoFigures(Figures):
    video_id: str
    likes: int
    shares: int
    comments: int
    daily: list[Day] | None = None


@router.get("/video/{video_id}", dependencies=[Depends(fresh(VIEWING, WATCH_PAGE))])
async def video_figures(
    video_id: UUID,
    services: Queries,
    caller: AnyCaller,
    first: Annotated[date | None, Query(alias="from")] = None,
    last: Annotated[date | None, Query(alias="to")] = None,
) -> Envelope[VideoFigures]:
    """Return a video's totals; its owner and admins get the days from ``from`` to ``to`` too."""
    row = await visible_video(services, video_id, caller)
    owns = caller.identity == str(row["creator_id"]) or caller.is_admin
    of_video = {"video": str(video_id)}
    [totals] = await services.analytics.query(_TOTALS, of_video)
    reactions = {
        r["event_type"]: int(r["n"]) for r in await services.analytics.query(_REACTIONS, of_video)
    }
    daily = None
    if owns:
        last = last or clock.now().date()
        first = first or date.fromordinal(max(1, last.toordinal() - _DAYS_DEFAULT))
        if not 0 <= (last - first).days <= _DAYS_MAX:
            raise Invalid.field("from", f"must lie at most {_DAYS_MAX} days before 'to'")
        span = {**of_video, "first": first.isoformat(), "last": last.isoformat()}
        daily = [
            Day(day=r["day"], **_figures(r)) for r in await services.analytics.query(_DAILY, span)
        ]
    figures = VideoFigures(
        video_id=str(video_id),
        likes=reactions.get("like", 0) - reactions.get("unlike", 0),
        shares=reactions.get("share", 0),
        comments=row["comment_count"],
        daily=daily,
        **_figures(totals),
    )
    return Envelope(data=figures)


def _figures(row: Row) -> dict[str, Any]:
    return {
        "views": int(row["views"]),
        "unique_viewers": int(row["unique_viewers"]),
        "avg_watch_duration": round(float(row["avg_watch_duration"]), 3),
        "total_watch_time": round(float(row["total_watch_time"]), 3),
    }
