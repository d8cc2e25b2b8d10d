"""Comments with their threads, likes and reports (Postgres)."""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Event, Recorded
from events.comments import (
    CommentDeleted,
    CommentEdited,
    CommentHidden,
    CommentLiked,
    CommentPosted,
    CommentReported,
    CommentRestored,
    CommentUnliked,
    ReportErased,
)
from projections.declaration import Change, Increment, Projection, Put, Remove, Store, Table

COMMENTS = Table(
    name="comments",
    columns={
        "id": "uuid",
        "user_id": "uuid",
        "video_id": "uuid",
        "parent_comment_id": "uuid",
        "text": "text",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
        "is_edited": "boolean NOT NULL DEFAULT false",
        "is_deleted": "boolean NOT NULL DEFAULT false",
        "is_hidden": "boolean NOT NULL DEFAULT false",
        "toxicity": "double precision",
        "like_count": "bigint NOT NULL DEFAULT 0",
        "reply_count": "bigint NOT NULL DEFAULT 0",
        "report_count": "bigint NOT NULL DEFAULT 0",
    },
    key=("id",),
    indexes=(
        "(video_id, created_at DESC)",
        "(user_id)",
        "(parent_comment_id, created_at)",
        "(created_at DESC)",
    ),
)
COMMENT_LIKES = Table(
    name="comment_likes",
    columns={"user_id": "uuid", "comment_id": "uuid", "created_at": "timestamptz NOT NULL"},
    key=("user_id", "comment_id"),
    indexes=("(comment_id)",),
)
COMMENT_REPORTS = Table(
    name="comment_reports",
    columns={
        "reporter_id": "uuid",
        "comment_id": "uuid",
        "reason": "text NOT NULL",
        "note": "text NOT NULL",
        "created_at": "timestamptz NOT NULL",
    },
    key=("reporter_id", "comment_id"),
    indexes=("(comment_id)",),
)


def evolve(recorded: Recorded) -> Iterable[Change]:
    event, at = recorded.event, recorded.metadata.time
    match event:
        case CommentPosted():
            yield Put(
                "comments",
                (event.comment_id,),
                {
                    "user_id": event.author_id,
                    "video_id": event.video_id,
                    "parent_comment_id": event.parent_comment_id,
                    "text": event.text,
                    "created_at": at,
                    "updated_at": at,
                },
            )
            if event.parent_comment_id is not None:
                yield Increment("comments", (event.parent_comment_id,), {"reply_count": 1})
        case CommentEdited():
            edited = {"text": event.text, "is_edited": True, "updated_at": at}
            yield Put("comments", (event.comment_id,), edited)
        case CommentDeleted():
            deleted = {"is_deleted": True, "text": "", "updated_at": at}
            yield Put("comments", (event.comment_id,), deleted)
            if event.parent_comment_id is not None:
                yield Increment("comments", (event.parent_comment_id,), {"reply_count": -1})
        case _:
            yield from _judged(event)
            yield from _reactions(event, recorded)


def _judged(event: Event) -> Iterable[Change]:
    match event:
        case CommentHidden():
            hidden = {"is_hidden": True, "toxicity": event.score}
            yield Put("comments", (event.comment_id,), hidden)
        case CommentRestored():
            yield Put("comments", (event.comment_id,), {"is_hidden": False})


def _reactions(event: Event, recorded: Recorded) -> Iterable[Change]:
    at = recorded.metadata.time
    match event:
        case CommentLiked():
            yield Put("comment_likes", (event.user_id, event.comment_id), {"created_at": at})
            yield Increment("comments", (event.comment_id,), {"like_count": 1})
        case CommentUnliked():
            yield Remove("comment_likes", (event.user_id, event.comment_id))
            yield Increment("comments", (event.comment_id,), {"like_count": -1})
        case CommentReported():
            report = {"reason": event.reason, "note": event.note, "created_at": at}
            yield Put("comment_reports", (event.reporter_id, event.comment_id), report)
            yield Increment("comments", (event.comment_id,), {"report_count": 1})
        case ReportErased():
            yield Remove("comment_reports", (event.reporter_id, event.comment_id))


COMMENT_THREADS = Projection(
    name="comments",
    version=1,
    store=Store.POSTGRES,
    events=(
        CommentPosted,
        CommentEdited,
        CommentDeleted,
        CommentHidden,
        CommentRestored,
        CommentLiked,
        CommentUnliked,
        CommentReported,
        ReportErased,
    ),
    evolve=evolve,
    tables=(COMMENTS, COMMENT_LIKES, COMMENT_REPORTS),
)
