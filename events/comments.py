"""Events of comments: keyed by the video's id, so that a video's comments keep their order."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from events.base import Event, Id
from events.privacy import Personal

DOMAIN = "comments"


class HiddenBy(StrEnum):
    """Who hid a comment: the toxicity model or a person."""

    MODEL = "model"
    REVIEWER = "reviewer"


class ReportReason(StrEnum):
    SPAM = "spam"
    HARASSMENT = "harassment"
    HATE = "hate"
    SEXUAL = "sexual"
    VIOLENCE = "violence"
    OTHER = "other"


class CommentPosted(Event):
    """A comment, or a reply where ``parent_comment_id`` is set."""

    name = "comment.posted"
    domain = DOMAIN

    comment_id: Id
    video_id: Id
    author_id: Id
    parent_comment_id: Id | None
    text: Annotated[str, Personal("author_id")]


class CommentEdited(Event):
    """Its author changed the text; ``text`` is the whole of it."""

    name = "comment.edited"
    domain = DOMAIN

    comment_id: Id
    video_id: Id
    author_id: Id
    text: Annotated[str, Personal("author_id")]


class CommentDeleted(Event):
    """It was taken back; its replies stay."""

    name = "comment.deleted"
    domain = DOMAIN

    comment_id: Id
    video_id: Id
    parent_comment_id: Id | None


class CommentHidden(Event):
    """It is shown to nobody but its author and admins; ``score`` is the toxicity, 0 to 1."""

    name = "comment.hidden"
    domain = DOMAIN

    comment_id: Id
    video_id: Id
    hidden_by: HiddenBy
    score: float | None


class CommentRestored(Event):
    """It is shown again to everybody who may see the video."""

    name = "comment.restored"
    domain = DOMAIN

    comment_id: Id
    video_id: Id


class CommentLiked(Event):
    """Somebody likes it; a second like of the same person is no event."""

    name = "comment.liked"
    domain = DOMAIN

    comment_id: Id
    video_id: Id
    user_id: Id


class CommentUnliked(Event):
    """Somebody took their like back."""

    name = "comment.unliked"
    domain = DOMAIN

    comment_id: Id
    video_id: Id
    user_id: Id


class CommentReported(Event):
    """Somebody reported it to the moderators, which each person can do once."""

    name = "comment.reported"
    domain = DOMAIN

    comment_id: Id
    video_id: Id
    reporter_id: Id
    reason: ReportReason
    note: Annotated[str, Personal("reporter_id")]


class ReportErased(Event):
    """A report is gone, because whoever wrote it was forgotten; it still counts."""

    name = "comment.report_erased"
    domain = DOMAIN

    comment_id: Id
    video_id: Id
    reporter_id: Id


EVENTS: tuple[type[Event], ...] = (
    CommentPosted,
    CommentEdited,
    CommentDeleted,
    CommentHidden,
    CommentRestored,
    CommentLiked,
    CommentUnliked,
    CommentReported,
    ReportErased,
)
