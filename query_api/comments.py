"""Comments: one, the threads of a video, the replies to a comment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter

from events.errors import NotFound
from projections.accounts import ACCOUNTS
from projections.comments import COMMENT_THREADS
from projections.watch_page import WATCH_PAGE
from query_api.cards import Creator
from query_api.reading import Queries, Row, fresh, made_once
from query_api.sorting import Sort, sorted_page
from query_api.videos import visible_video
from schemas.http.caller import AnyCaller, Caller
from schemas.http.envelope import ApiModel, Envelope
from schemas.http.paging import Page, page_meta, page_of
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=API, tags=["comments"], route_class=Route)

_COLUMNS = (
    "c.id, c.user_id, c.video_id, c.parent_comment_id, c.text, c.created_at, c.updated_at, "
    "c.is_edited, c.is_deleted, c.is_hidden, c.like_count, c.reply_count, "
    "u.username, u.avatar_url"
)
_FROM = "FROM comments c LEFT JOIN users u ON u.id = c.user_id"
#: A deleted comment stays as a gap in its thread while anything below it is not deleted; only
#: replies to the comment itself are counted in its row.
_SHOWN = (
    "c.created_at IS NOT NULL AND (NOT c.is_deleted OR c.reply_count > 0 OR EXISTS ("
    "WITH RECURSIVE below AS ("
    "SELECT r.id, r.is_deleted FROM comments r WHERE r.parent_comment_id = c.id UNION ALL "
    "SELECT r.id, r.is_deleted FROM below JOIN comments r ON r.parent_comment_id = below.id) "
    "SELECT FROM below WHERE NOT is_deleted)) "
    "AND (NOT c.is_hidden OR c.user_id = $2::uuid OR $3)"
)
_SORTS = {
    "createdAt": Sort("c.created_at", "timestamptz"),
    "likes": Sort("c.like_count", "bigint"),
    "replies": Sort("c.reply_count", "bigint"),
}


class Comment(ApiModel):
    id: str
    video_id: str
    parent_comment_id: str | None
    text: str
    author: Creator
    likes: int
    reply_count: int
    is_edited: bool
    is_deleted: bool
    is_hidden: bool
    created_at: datetime
    updated_at: datetime


_COMMENTS = TypeAdapter(Envelope[list[Comment]])


def _comment(row: Row) -> Comment:
    return Comment(
        id=str(row["id"]),
        video_id=str(row["video_id"]),
        parent_comment_id=str(row["parent_comment_id"]) if row["parent_comment_id"] else None,
        text=row["text"],
        author=Creator(id=str(row["user_id"]), username=row["username"], avatar=row["avatar_url"]),
        likes=row["like_count"],
        reply_count=row["reply_count"],
        is_edited=row["is_edited"],
        is_deleted=row["is_deleted"],
        is_hidden=row["is_hidden"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


async def _visible(services: Queries, comment_id: UUID, caller: Caller) -> Row:
    row = await services.rows.fetchrow(
        f"SELECT {_COLUMNS} {_FROM} WHERE c.id = $1 AND {_SHOWN}",
        comment_id,
        caller.identity,
        caller.is_admin,
    )
    if row is None:
        raise NotFound("No such comment", code="COMMENT_NOT_FOUND")
    await visible_video(services, row["video_id"], caller)
    return row


@router.get(
    "/comments/{comment_id}",
    dependencies=[Depends(fresh(COMMENT_THREADS, ACCOUNTS, WATCH_PAGE))],
)
async def get_comment(comment_id: UUID, services: Queries, caller: AnyCaller) -> Envelope[Comment]:
    """Return a comment; a hidden one only to its author and admins."""
    return Envelope(data=_comment(await _visible(services, comment_id, caller)))


@router.get(
    "/comments/{comment_id}/replies",
    response_model=Envelope[list[Comment]],
    dependencies=[Depends(fresh(COMMENT_THREADS, ACCOUNTS, WATCH_PAGE))],
)
async def replies(
    comment_id: UUID,
    services: Queries,
    caller: AnyCaller,
    page: Annotated[Page, Depends(page_of)],
    sort: str = "createdAt",
) -> bytes:
    """List the replies to a comment, oldest first."""

    async def find() -> Envelope[list[Comment]]:
        await _visible(services, comment_id, caller)
        return await _list(services, caller, page, sort, "c.parent_comment_id = $1", comment_id)

    question = ("replies", comment_id, caller.identity, caller.is_admin, repr(page), sort)
    return await made_once(services, question, _COMMENTS, find)


@router.get(
    "/videos/{video_id}/comments",
    response_model=Envelope[list[Comment]],
    dependencies=[Depends(fresh(COMMENT_THREADS, ACCOUNTS, WATCH_PAGE))],
)
async def comments_of(
    video_id: UUID,
    services: Queries,
    caller: AnyCaller,
    page: Annotated[Page, Depends(page_of)],
    sort: str = "-createdAt",
) -> bytes:
    """List the threads of a video, newest first; replies hang below their comment."""

    async def find() -> Envelope[list[Comment]]:
        await visible_video(services, video_id, caller)
        top = "c.video_id = $1 AND c.parent_comment_id IS NULL"
        return await _list(services, caller, page, sort, top, video_id)

    question = ("threads", video_id, caller.identity, caller.is_admin, repr(page), sort)
    return await made_once(services, question, _COMMENTS, find)


async def _list(
    services: Queries, caller: Caller, page: Page, sort: str, where: str, subject: UUID
) -> Envelope[list[Comment]]:
    found = await sorted_page(
        services.rows,
        columns=_COLUMNS,
        source=f"{_FROM} WHERE {where} AND {_SHOWN}",
        arguments=(subject, caller.identity, caller.is_admin),
        sort=Sort.chosen(sort, _SORTS),
        identity="c.id",
        page=page,
    )
    data = [_comment(row) for row in found.rows]
    return Envelope(data=data, meta=page_meta(page, found.total, found.next_cursor))
