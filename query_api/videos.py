"""Videos: one, lists, and where to play one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, Field, TypeAdapter

from events.errors import Conflict, NotFound
from events.videos import VideoStatus, Visibility
from projections.accounts import ACCOUNTS
from projections.watch_page import WATCH_PAGE
from query_api.cards import LISTED, PICTURE_LIFE, Creator, creator_of
from query_api.reading import Look, MediaStorage, Queries, Row, Rows, fresh, made_once
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
#: With all that their pages show beside them; ``$2`` says who looks at which, where that is known.
# Behind a SELECT an array has no length that a plan could be made for: one plan does for all.
_PAGES = (
    f"SELECT {_COLUMNS}, looks.number, "  # noqa: S608
    "ARRAY(SELECT (s.quality, s.resolution, s.bitrate, s.file_size) FROM video_streams s "
    "WHERE s.video_id = v.id ORDER BY s.bitrate) AS streams, "
    "EXISTS(SELECT 1 FROM likes l WHERE l.user_id = looks.viewer AND l.video_id = v.id) AS liked "
    "FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[])) "
    "WITH ORDINALITY AS looks (video, viewer, number) "
    "JOIN videos v ON v.id = looks.video LEFT JOIN users u ON u.id = v.creator_id "
    "WHERE v.status <> 'deleted' AND v.uploaded_at IS NOT NULL"
)
_SORTS = {
    "uploadedAt": Sort("v.uploaded_at", "timestamptz"),
    "createdAt": Sort("v.uploaded_at", "timestamptz"),
    "views": Sort("v.view_count", "bigint"),
    "likes": Sort("v.like_count", "bigint"),
    # Unknown until a film is ready, and a cursor cannot stand behind nothing.
    "duration": Sort("coalesce(v.duration, 0)", "double precision"),
    "title": Sort("v.title", "text"),
}
#: Shortest and longest length in seconds of what the filter calls short, medium and long.
_DURATIONS = {"short": (0.0, 240.0), "medium": (240.0, 1200.0), "long": (1200.0, 1e9)}


def _in_utc(moment: datetime) -> datetime:
    """Return the moment in UTC, which a time without a zone is taken for."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


Moment = Annotated[datetime, AfterValidator(_in_utc)]
#: PostgreSQL has no text with a NUL in it.
Label = Annotated[str | None, Query(max_length=50, pattern=r"^[^\x00]*$")]


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


_PAGE = TypeAdapter(Envelope[VideoDetail])
_LIST = TypeAdapter(Envelope[list[VideoDetail]])


def detail(media: MediaStorage, row: Row, *, owns: bool, **more: Any) -> VideoDetail:
    """Return what is shown of a row; reasons of failure are for whoever owns it.

    ``more`` are fields that the row does not hold.
    """
    thumbnail = row["thumbnail_url"]
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
        thumbnail=media.download_url(thumbnail, PICTURE_LIFE) if thumbnail else None,
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
    if _is_hidden(row) and not _owns(row, caller.identity, is_admin=caller.is_admin):
        raise NotFound("No such video", code="VIDEO_NOT_FOUND")
    return row


def _is_hidden(row: Row) -> bool:
    return row["visibility"] == Visibility.PRIVATE or row["blocked_reason"] is not None


def _owns(row: Row, viewer_id: str | None, *, is_admin: bool) -> bool:
    """Say whether somebody sees what only the owner and admins do."""
    return is_admin or viewer_id == str(row["creator_id"])


@router.get(
    "/videos",
    response_model=Envelope[list[VideoDetail]],
    dependencies=[Depends(fresh(WATCH_PAGE, ACCOUNTS))],
)
async def list_videos(
    services: Queries,
    caller: AnyCaller,
    page: Annotated[Page, Depends(page_of)],
    category: Label = None,
    tag: Label = None,
    duration: Literal["short", "medium", "long"] | None = None,
    uploaded_after: Annotated[Moment | None, Query(alias="uploadedAfter")] = None,
    uploaded_before: Annotated[Moment | None, Query(alias="uploadedBefore")] = None,
    ids: Annotated[list[UUID] | None, Query(max_length=50)] = None,
    sort: str = "-uploadedAt",
) -> bytes:
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
    return await _list(services, caller, page, sort, filters, arguments)


async def _list(
    services: Queries,
    caller: Caller,
    page: Page,
    sort: str,
    where: str,
    arguments: Sequence[Any],
) -> bytes:
    viewer_id, is_admin = caller.identity, caller.is_admin

    async def find() -> Envelope[list[VideoDetail]]:
        found = await sorted_page(
            services.rows,
            columns=_COLUMNS,
            source=f"{_FROM} WHERE {where}",
            arguments=arguments,
            sort=Sort.chosen(sort, _SORTS),
            identity="v.id",
            page=page,
        )
        data = [
            detail(services.media, row, owns=_owns(row, viewer_id, is_admin=is_admin))
            for row in found.rows
        ]
        return Envelope(data=data, meta=page_meta(page, found.total, found.next_cursor))

    question = (where, viewer_id, is_admin, repr((arguments, page, sort)))
    return await made_once(services, question, _LIST, find)


@router.get(
    "/videos/{video_id}",
    response_model=Envelope[VideoDetail],
    dependencies=[Depends(fresh(WATCH_PAGE, ACCOUNTS))],
)
async def get_video(video_id: UUID, services: Queries, caller: AnyCaller) -> bytes:
    """Return a video; unlisted ones to whoever has the id, private ones to their owner."""
    page = await services.pages.ask(Look(video_id, caller.identity, caller.is_admin))
    if page is None:
        raise NotFound("No such video", code="VIDEO_NOT_FOUND")
    return page


async def read_pages(
    rows: Rows, media: MediaStorage, looks: Sequence[Look]
) -> Mapping[Look, bytes]:
    """Return the pages of those looks at videos that have something to see; raises Unavailable."""
    found = await rows.fetch(
        _PAGES, [look.video_id for look in looks], [look.viewer_id for look in looks]
    )
    by_look = {looks[row["number"] - 1]: row for row in found}
    return {look: page for look, row in by_look.items() if (page := _page(media, row, look))}


def _page(media: MediaStorage, row: Row, look: Look) -> bytes | None:
    owns = _owns(row, look.viewer_id, is_admin=look.is_admin)
    if _is_hidden(row) and not owns:
        return None
    streams = tuple(
        Stream(quality=quality, resolution=resolution, bitrate=bitrate, file_size=size)
        for quality, resolution, bitrate, size in row["streams"]
    )
    shown = detail(media, row, owns=owns, streams=streams, liked=row["liked"])
    return _PAGE.dump_json(Envelope(data=shown), by_alias=True)


@router.get("/videos/{video_id}/stream-url", dependencies=[Depends(fresh(WATCH_PAGE))])
async def stream_url(video_id: UUID, services: Queries, caller: AnyCaller) -> Envelope[StreamUrl]:
    """Return a signed URL of the HLS master playlist, good for a while."""
    row = await visible_video(services, video_id, caller)
    if row["status"] != VideoStatus.READY:
        raise Conflict("The video cannot be played yet", code="VIDEO_NOT_READY")
    link = services.links.sign(str(video_id), services.stream_url_life)
    url = f"{services.public_url}/media/{link.token}/{video_id}/master.m3u8"
    return Envelope(data=StreamUrl(url=url, expires_at=link.expires_at))


@router.get(
    "/users/{user_id}/videos",
    response_model=Envelope[list[VideoDetail]],
    dependencies=[Depends(fresh(WATCH_PAGE, ACCOUNTS))],
)
async def videos_of(
    user_id: UUID,
    services: Queries,
    caller: AnyCaller,
    page: Annotated[Page, Depends(page_of)],
    sort: str = "-uploadedAt",
) -> bytes:
    """List a user's videos: the public ones, or all of one's own."""
    owns = caller.identity == str(user_id) or caller.is_admin
    theirs = (
        "v.creator_id = $1 AND v.uploaded_at IS NOT NULL AND v.status <> 'deleted' "
        f"AND ($2 OR ({LISTED}))"
    )
    return await _list(services, caller, page, sort, theirs, (user_id, owns))
