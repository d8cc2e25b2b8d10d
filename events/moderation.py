"""Events of moderation: one stream a judged thing, keyed by its id."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from events.base import Event, Id
from events.privacy import Personal

DOMAIN = "moderation"


class SubjectType(StrEnum):
    VIDEO = "video"
    COMMENT = "comment"
    TEXT = "text"


class ModerationAction(StrEnum):
    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


class ReviewDecision(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class ContentScored(Event):
    """A model judged something; ``score`` is 0 (harmless) to 1, ``video_id`` where it stands."""

    name = "content.scored"
    domain = DOMAIN

    subject_id: Id
    subject_type: SubjectType
    video_id: Id | None
    model: str
    score: float
    flagged: bool
    action: ModerationAction


class ContentReviewed(Event):
    """A reviewer decided about what waited in the queue."""

    name = "content.reviewed"
    domain = DOMAIN

    subject_id: Id
    subject_type: SubjectType
    video_id: Id | None
    reviewer_id: Id
    decision: ReviewDecision
    note: Annotated[str, Personal("reviewer_id")]


class ReviewNoteErased(Event):
    """The words of the last review are gone, because whoever wrote them was forgotten."""

    name = "content.review_note_erased"
    domain = DOMAIN

    subject_id: Id
    subject_type: SubjectType
    video_id: Id | None
    reviewer_id: Id


EVENTS: tuple[type[Event], ...] = (ContentScored, ContentReviewed, ReviewNoteErased)
