"""Videos: one, lists, and where to play one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from events.errors import Conflict, NotFound
from events.videos import VideoStatus, Visibility
from projections.accounts import ACCOUNTS
from projections.watch_page import WATCH_PAGE
from query_api.cards import LISTED, PICTURE_LIFE, Creator, creator_of
from query_api.reading import Queries, Row, fresh
from query_api.sorting import Sort, sorted_page
from schemas.http.caller import AnyCaller, Caller
from schemas.http.envelope import ApiModel, Envelope
from schemas.http.paging import Page, page_meta, page_of
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=API, tags=["videos"], route_class=Route)

_COLUMNS = (
    "v.id, v.creator_id, v.title, v.description, v.thumbnail_url, v.duration, v.file_size, "
    "v.format, v.status, v.visibility, v.tags, v.category, v.uploaded_at, v.processed_at, "
    "v.updated_at, v.resolution, v.codec, v.bitrate, v.progress, v.failure_code, "
    "v.failure_message, v.blocked_reason, v.view_count, v.like_count, v.comment_count, "
    "v.share_count, u.username, u.avatar_url"
)
_FROM = "FROM videos v LEFT JOIN users u ON u.id = v.creator_id"
_THERE = "WHERE v.id = $1 AND v.status <> 'deleted' AND v.uploaded_at IS NOT NULL"
_VIDEO = f"SELECT {_COLUMNS} {_FROM} {_THERE}"
#: With all that its page shows beside it, for one round trip; ``$2`` is who looks, if known.
_PAGE = (
    f"SELECT {_COLUMNS}, "  # noqa: S608
    "ARRAY(SELECT (s.quality, s.resolution, s.bitrate, s.file_size) FROM video_streams s "
    "WHERE s.video_id = v.id ORDER BY s.bitrate) AS streams, "
    "EXISTS(SELECT 1 FROM likes l WHERE l.user_id = $2 AND l.video_id = v.id) AS liked "
    f"{_FROM} {_THERE}"
)
_SORTS = {
    "uploadedAt": Sort("v.uploaded_at", "timestamptz"),
    "createdAt": Sort("v.uploaded_at", "timestamptz"),
    "views": Sort("v.view_count", "bigint"),
    "likes": Sort("v.like_count", "bigint"),
    "duration": Sort("v.duration", "double precision"),
    "title": Sort("v.title", "text"),
}
#: Shortest and longest length in seconds of what the filter calls short, medium and long.
_DURATIONS = {"short": (0.0, 240.0), "medium": (240.0, 1200.0), "long": (1200.0, 1e9)}


class FailureReason(ApiModel):
    code: str
    message: str


class Stream(ApiModel):
    quality: str
    resolution: str
    bitrate: int
    file_size: int


class VideoDetail(ApiModel):
    id: str
    title: str
    description: str
    tags: list[str]
    category: str | None
    visibility: Visibility
    status: VideoStatus
    progress: float
    thumbnail: str | None
    duration: float | None
    resolution: str | None
    codec: str | None
    bitrate: int | None
    format: str | None
    file_size: int | None
    views: int
    likes: int
    comments: int
    shares: int
    liked: bool = Field(False, description="Whether the caller likes it")
    creator: Creator
    uploaded_at: datetime
    created_at: datetime
    processed_at: datetime | None
    stream_url: str | None
    streams: tuple[Stream, ...] = ()
    failure: FailureReason | None = None
    blocked: bool = False


class StreamUrl(ApiModel):
    url: str
    expires_at: datetime


def detail(services: Queries, row: Row, caller: Caller, **more: Any) -> VideoDetail:
    """Return what a caller is shown of a row; reasons of failure are for the owner and admins.

    ``more`` are fields that the row does not hold.
    """
    thumbnail = row["thumbnail_url"]
    owns = caller.identity == str(row["creator_id"]) or caller.is_admin
    ready = row["status"] == VideoStatus.READY
    failure = (
        FailureReason(code=row["failure_code"], message=row["failure_message"])
        if owns and row["failure_code"]
        else None
    )
    return VideoDetail(
        id=str(row["id"]),
        title=row["title"],
        description=row["description"],
        tags=row["tags"],
        category=row["category"],
        visibility=row["visibility"],
        status=row["status"],
        progress=row["progress"],
        thumbnail=services.media.download_url(thumbnail, PICTURE_LIFE) if thumbnail else None,
        duration=row["duration"],
        resolution=row["resolution"],
        codec=row["codec"],
        bitrate=row["bitrate"],
        format=row["format"],
        file_size=row["file_size"],
        views=row["view_count"],
        likes=row["like_count"],
        comments=row["comment_count"],
        shares=row["share_count"],
        creator=creator_of(row),
        uploaded_at=row["uploaded_at"],
        created_at=row["uploaded_at"],
        processed_at=row["processed_at"],
        stream_url=f"{API}/videos/{row['id']}/stream-url" if ready else None,
        failure=failure,
        blocked=owns and row["blocked_reason"] is not None,
        **more,
    )


async def visible_video(services: Queries, video_id: UUID, caller: Caller) -> Row:
    """Return the row of a video that the caller may see; raises NotFound."""
    return _visible(await services.rows.fetchrow(_VIDEO, video_id), caller)


def _visible(row: Row | None, caller: Caller) -> Row:
    if row is None:
        raise NotFound("No such video", code="VIDEO_NOT_FOUND")
    owns = caller.identity == str(row["creator_id"]) or caller.is_admin
    hidden = row["visibility"] == Visibility.PRIVATE or row["blocked_reason"] is not None
    if hidden and not owns:
        raise NotFound("No such video", code="VIDEO_NOT_FOUND")
    return row


@router.get("/videos", dependencies=[Depends(fresh(WATCH_PAGE, ACCOUNTS))])
async def list_videos(
    services: Queries,
    caller: AnyCaller,
    page: Annotated[Page, Depends(page_of)],
    category: Annotated[str | None, Query(max_length=50)] = None,
    tag: Annotated[str | None, Query(max_length=50)] = None,
    duration: Literal["short", "medium", "long"] | None = None,
    uploaded_after: Annotated[datetime | None, Query(alias="uploadedAfter")] = None,
    uploaded_before: Annotated[datetime | None, Query(alias="uploadedBefore")] = None,
    ids: Annotated[list[UUID] | None, Query(max_length=50)] = None,
    sort: str = "-uploadedAt",
) -> Envelope[list[VideoDetail]]:
    """List public videos; filters combine, ``ids`` reads many at once."""
    shortest, longest = _DURATIONS.get(duration or "", (None, None))
    filters = (
        f"{LISTED} AND ($1::text IS NULL OR v.category = $1) "
        "AND ($2::text IS NULL OR v.tags @> ARRAY[$2]) "
        "AND ($3::float8 IS NULL OR v.duration >= $3) AND ($4::float8 IS NULL OR v.duration < $4) "
        "AND ($5::timestamptz IS NULL OR v.uploaded_at >= $5) "
        "AND ($6::timestamptz IS NULL OR v.uploaded_at <= $6) "
        "AND ($7::uuid[] IS NULL OR v.id = ANY($7))"
    )
    arguments = (category, tag, shortest, longest, uploaded_after, uploaded_before, ids)
    found = await sorted_page(
        services.rows,
        columns=_COLUMNS,
        source=f"{_FROM} WHERE {filters}",
        arguments=arguments,
        sort=Sort.chosen(sort, _SORTS),
        identity="v.id",
        page=page,
    )
    data = [detail(services, row, caller) for row in found.rows]
    return Envelope(data=data, meta=page_meta(page, found.total, found.next_cursor))


@router.get("/videos/{video_id}", dependencies=[Depends(fresh(WATCH_PAGE, ACCOUNTS))])
async def get_video(video_id: UUID, services: Queries, caller: AnyCaller) -> Envelope[VideoDetail]:
    """Return a video; unlisted ones to whoever has the id, private ones to their owner."""
    viewer = caller.claims and caller.claims.user_id
    row = _visible(await services.rows.fetchrow(_PAGE, video_id, viewer), caller)
    streams = tuple(
        Stream(quality=quality, resolution=resolution, bitrate=bitrate, file_size=size)
        for quality, resolution, bitrate, size in row["streams"]
    )
    return Envelope(data=detail(services, row, caller, streams=streams, liked=row["liked"]))


@router.get("/videos/{video_id}/stream-url", dependencies=[Depends(fresh(WATCH_PAGE))])
async def stream_url(video_id: UUID, services: Queries, caller: AnyCaller) -> Envelope[StreamUrl]:
    """Return a signed URL of the HLS master playlist, good for a while."""
    row = await visible_video(services, video_id, caller)
    if row["status"] != VideoStatus.READY:
        raise Conflict("The video cannot be played yet", code="VIDEO_NOT_READY")
    link = services.links.sign(str(video_id), services.stream_url_life)
    url = f"{services.public_url}/media/{link.token}/{video_id}/master.m3u8"
    return Envelope(data=StreamUrl(url=url, expires_at=link.expires_at))


@router.get("/users/{user_id}/videos", dependencies=[Depends(fresh(WATCH_PAGE, ACCOUNTS))])
async def videos_of(
    user_id: UUID,
    services: Queries,
    caller: AnyCaller,
    page: Annotated[Page, Depends(page_of)],
    sort: str = "-uploadedAt",
) -> Envelope[list[VideoDetail]]:
    """List a user's videos: the public ones, or all of one's own."""
    owns = caller.identity == str(user_id) or caller.is_admin
    found = await sorted_page(
        services.rows,
        columns=_COLUMNS,
        source=f"{_FROM} WHERE v.creator_id = $1 AND v.uploaded_at IS NOT NULL "
        f"AND v.status <> 'deleted' AND ($2 OR ({LISTED}))",
        arguments=(user_id, owns),
        sort=Sort.chosen(sort, _SORTS),
        identity="v.id",
        page=page,
    )
    data = [detail(services, row, caller) for row in found.rows]
    return Envelope(data=data, meta=page_meta(page, found.total, found.next_cursor))
