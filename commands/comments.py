"""Comments: threads, edits, likes, reports, and hiding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, assert_never

from commands.aggregate import Aggregate, State
from events.base import Command, Event, Id
from events.comments import (
    DOMAIN,
    CommentDeleted,
    CommentEdited,
    CommentHidden,
    CommentLiked,
    CommentPosted,
    CommentReported,
    CommentRestored,
    CommentUnliked,
    HiddenBy,
    ReportErased,
    ReportReason,
)
from events.errors import NotFound, NotPermitted
from events.privacy import Personal
from events.users import Role


class CommentCommand(Command):
    domain = DOMAIN

    comment_id: Id
    video_id: Id

    def key(self) -> str:
        return self.video_id

    def stream(self) -> str:
        return f"comment-{self.comment_id}"


class PostComment(CommentCommand):
    """Comment on a video, or reply to a comment where ``parent_comment_id`` is set."""

    name = "comment.post"

    author_id: Id
    parent_comment_id: Id | None = None
    text: Annotated[str, Personal("author_id")]


class EditComment(CommentCommand):
    name = "comment.edit"

    actor_id: Id
    text: Annotated[str, Personal("actor_id")]


class DeleteComment(CommentCommand):
    name = "comment.delete"

    actor_id: Id
    actor_role: Role


class HideComment(CommentCommand):
    name = "comment.hide"

    hidden_by: HiddenBy
    score: float | None = None


class RestoreComment(CommentCommand):
    name = "comment.restore"


class LikeComment(CommentCommand):
    name = "comment.like"

    user_id: Id

    def stream(self) -> str:
        return f"comment_like-{self.comment_id}:{self.user_id}"


class UnlikeComment(CommentCommand):
    name = "comment.unlike"

    user_id: Id

    def stream(self) -> str:
        return f"comment_like-{self.comment_id}:{self.user_id}"


class ReportComment(CommentCommand):
    name = "comment.report"

    reporter_id: Id
    reason: ReportReason
    note: Annotated[str, Personal("reporter_id")]

    def stream(self) -> str:
        return f"comment_report-{self.comment_id}:{self.reporter_id}"


class EraseReport(CommentCommand):
    """Let go of a report, because whoever wrote it is forgotten."""

    name = "comment.erase_report"

    reporter_id: Id

    def stream(self) -> str:
        return f"comment_report-{self.comment_id}:{self.reporter_id}"


class Comment(State):
    author_id: str | None = None
    parent_comment_id: str | None = None
    deleted: bool = False
    hidden: bool = False


class CommentLike(State):
    liked: bool = False


class CommentReport(State):
    reported: bool = False
    erased: bool = False


def evolve(
    state: Comment,
    event: CommentPosted | CommentEdited | CommentDeleted | CommentHidden | CommentRestored,
) -> Comment:
    match event:
        case CommentPosted():
            return Comment(author_id=event.author_id, parent_comment_id=event.parent_comment_id)
        case CommentDeleted():
            return state.model_copy(update={"deleted": True})
        case CommentHidden():
            return state.model_copy(update={"hidden": True})
        case CommentRestored():
            return state.model_copy(update={"hidden": False})
        case CommentEdited():
            return state
        case _:
            assert_never(event)


def evolve_like(
    state: CommentLike,  # noqa: ARG001
    event: CommentLiked | CommentUnliked,
) -> CommentLike:
    return CommentLike(liked=isinstance(event, CommentLiked))


def evolve_report(
    state: CommentReport,
    event: CommentReported | ReportErased,
) -> CommentReport:
    if isinstance(event, CommentReported):
        return CommentReport(reported=True)
    return state.model_copy(update={"erased": True})


def decide(
    command: PostComment | EditComment | DeleteComment | HideComment | RestoreComment,
    state: Comment,
) -> Sequence[Event]:
    if isinstance(command, PostComment):
        return [] if state.author_id else [CommentPosted(**vars(command))]
    if state.author_id is None:
        raise NotFound("No such comment", code="COMMENT_NOT_FOUND")
    if state.deleted:
        return _decide_deleted(command)
    match command:
        case EditComment():
            return _edit(command, state)
        case DeleteComment():
            return _delete(command, state)
        case HideComment():
            return [] if state.hidden else [CommentHidden(**vars(command))]
        case RestoreComment():
            return [CommentRestored(**vars(command))] if state.hidden else []
        case _:
            assert_never(command)


def _decide_deleted(
    command: EditComment | DeleteComment | HideComment | RestoreComment,
) -> Sequence[Event]:
    if isinstance(command, EditComment):
        raise NotFound("No such comment", code="COMMENT_NOT_FOUND")
    return []


def _edit(command: EditComment, state: Comment) -> Sequence[Event]:
    if command.actor_id != state.author_id:
        raise NotPermitted("Insufficient permissions")
    return [
        CommentEdited(
            comment_id=command.comment_id,
            video_id=command.video_id,
            author_id=command.actor_id,
            text=command.text,
        )
    ]


def _delete(command: DeleteComment, state: Comment) -> Sequence[Event]:
    if command.actor_id != state.author_id and command.actor_role is not Role.ADMIN:
        raise NotPermitted("Insufficient permissions")
    return [
        CommentDeleted(
            comment_id=command.comment_id,
            video_id=command.video_id,
            parent_comment_id=state.parent_comment_id,
        )
    ]


def decide_like(command: LikeComment | UnlikeComment, state: CommentLike) -> Sequence[Event]:
    wanted = isinstance(command, LikeComment)
    if state.liked == wanted:
        return []
    fact = CommentLiked if wanted else CommentUnliked
    return [fact(**vars(command))]


def decide_report(command: ReportComment | EraseReport, state: CommentReport) -> Sequence[Event]:
    """One person's second report of the same comment adds nothing."""
    if isinstance(command, EraseReport):
        there = state.reported and not state.erased
        return [ReportErased(**vars(command))] if there else []
    return [] if state.reported else [CommentReported(**vars(command))]


def answer(command: CommentCommand, state: Comment) -> dict[str, Any]:
    return {
        "id": command.comment_id,
        "videoId": command.video_id,
        "parentCommentId": state.parent_comment_id,
        "isDeleted": state.deleted,
    }


def answer_like(command: CommentCommand, state: CommentLike) -> dict[str, Any]:
    return {"id": command.comment_id, "liked": state.liked}


def answer_report(command: CommentCommand, state: CommentReport) -> dict[str, Any]:
    return {"id": command.comment_id, "reported": state.reported}


COMMENT = Aggregate(
    name="comment",
    domain=DOMAIN,
    initial=Comment(),
    commands=(PostComment, EditComment, DeleteComment, HideComment, RestoreComment),
    events=(CommentPosted, CommentEdited, CommentDeleted, CommentHidden, CommentRestored),
    decide=decide,
    evolve=evolve,
    answer=answer,
)
COMMENT_LIKE = Aggregate(
    name="comment_like",
    domain=DOMAIN,
    initial=CommentLike(),
    commands=(LikeComment, UnlikeComment),
    events=(CommentLiked, CommentUnliked),
    decide=decide_like,
    evolve=evolve_like,
    answer=answer_like,
)
COMMENT_REPORT = Aggregate(
    name="comment_report",
    domain=DOMAIN,
    initial=CommentReport(),
    commands=(ReportComment, EraseReport),
    events=(CommentReported, ReportErased),
    decide=decide_report,
    evolve=evolve_report,
    answer=answer_report,
)
