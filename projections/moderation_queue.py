"""The moderation queue: what models doubt and viewers report, and what became of it (Postgres)."""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Recorded
from events.comments import CommentReported
from events.moderation import ContentReviewed, ContentScored, ModerationAction, SubjectType
from projections.declaration import Change, Increment, Projection, Put, Store, Table

MODERATION_CASES = Table(
    name="moderation_cases",
    columns={
        "subject_id": "uuid",
        "subject_type": "text",
        "video_id": "uuid",
        "model": "text",
        "score": "double precision",
        "flagged": "boolean NOT NULL DEFAULT false",
        "action": "text",
        "is_open": "boolean NOT NULL DEFAULT false",
        "decision": "text",
        "reviewer_id": "uuid",
        "note": "text",
        "report_count": "bigint NOT NULL DEFAULT 0",
        "opened_at": "timestamptz",
        "decided_at": "timestamptz",
    },
    key=("subject_id",),
    indexes=("(is_open, opened_at)", "(subject_type, opened_at)"),
)


def evolve(recorded: Recorded) -> Iterable[Change]:
    event, at = recorded.event, recorded.metadata.time
    match event:
        case ContentScored():
            yield Put(
                "moderation_cases",
                (event.subject_id,),
                {
                    "subject_type": event.subject_type,
                    "video_id": event.video_id,
                    "model": event.model,
                    "score": event.score,
                    "flagged": event.flagged,
                    "action": event.action,
                    "is_open": event.action is ModerationAction.REVIEW,
                    "opened_at": at,
                },
            )
        case CommentReported():
            yield Put(
                "moderation_cases",
                (event.comment_id,),
                {
                    "subject_type": SubjectType.COMMENT,
                    "video_id": event.video_id,
                    "is_open": True,
                    "opened_at": at,
                },
            )
            yield Increment("moderation_cases", (event.comment_id,), {"report_count": 1})
        case ContentReviewed():
            yield Put(
                "moderation_cases",
                (event.subject_id,),
                {
                    "is_open": False,
                    "decision": event.decision,
                    "reviewer_id": event.reviewer_id,
                    "note": event.note,
                    "decided_at": at,
                },
            )


MODERATION_QUEUE = Projection(
    name="moderation_queue",
    version=1,
    store=Store.POSTGRES,
    events=(ContentScored, CommentReported, ContentReviewed),
    evolve=evolve,
    tables=(MODERATION_CASES,),
)
