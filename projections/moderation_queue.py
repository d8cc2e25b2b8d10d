"""The moderation queue: what models doubt and viewers report, and what became of it (Postgres).

Scores and decisions stand in another topic than reports, and nobody knows which is read first. So
each topic's events fill columns of their own, and whether a case is open follows from the times.
"""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Recorded
from events.comments import CommentReported
from events.moderation import ContentReviewed, ContentScored, ReviewNoteErased, SubjectType
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
        "decision": "text",
        "reviewer_id": "uuid",
        "note": "text",
        "report_count": "bigint NOT NULL DEFAULT 0",
        "scored_at": "timestamptz",
        "reported_at": "timestamptz",
        "decided_at": "timestamptz",
    },
    key=("subject_id",),
    indexes=("((greatest(scored_at, reported_at)))",),
)
#: Cases with the time at which each was last opened, and whether it waits for a reviewer.
CASES = (
    "(SELECT *, greatest(scored_at, reported_at) AS opened_at, "
    "coalesce(greatest(CASE WHEN action = 'review' THEN scored_at END, reported_at) "
    "> coalesce(decided_at, '-infinity'), false) AS is_open FROM moderation_cases) AS cases"
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
                    "scored_at": at,
                },
            )
        case CommentReported():
            yield Put(
                "moderation_cases",
                (event.comment_id,),
                {
                    "subject_type": SubjectType.COMMENT,
                    "video_id": event.video_id,
                    "reported_at": at,
                },
            )
            yield Increment("moderation_cases", (event.comment_id,), {"report_count": 1})
        case ContentReviewed():
            yield Put(
                "moderation_cases",
                (event.subject_id,),
                {
                    "decision": event.decision,
                    "reviewer_id": event.reviewer_id,
                    "note": event.note,
                    "decided_at": at,
                },
            )
        case ReviewNoteErased():
            yield Put("moderation_cases", (event.subject_id,), {"note": ""})


MODERATION_QUEUE = Projection(
    name="moderation_queue",
    version=1,
    store=Store.POSTGRES,
    events=(ContentScored, CommentReported, ContentReviewed, ReviewNoteErased),
    evolve=evolve,
    tables=(MODERATION_CASES,),
)
