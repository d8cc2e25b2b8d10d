"""Comments: post, reply, edit, delete, like, report."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from commands.comments import (
    DeleteComment,
    EditComment,
    LikeComment,
    PostComment,
    ReportComment,
    UnlikeComment,
)
from commands.endpoints.engagement import require_video
from commands.endpoints.fields import CommentText, ShortText
from commands.services import Commander, CommentPlace, RequestCommander
from events.comments import ReportReason
from events.errors import NotFound
from schemas.http.envelope import ApiModel, Envelope, RequestModel
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=f"{API}/comments", tags=["comments"], route_class=Route)


class CommentBody(RequestModel):
    video_id: UUID
    text: CommentText


class TextBody(RequestModel):
    text: CommentText


class ReportBody(RequestModel):
    reason: ReportReason
    note: ShortText = ""


class CommentAnswer(ApiModel):
    id: str
    video_id: str
    parent_comment_id: str | None = None
    is_deleted: bool = False


class CommentLiked(ApiModel):
    id: str
    liked: bool


class CommentReported(ApiModel):
    id: str
    reported: bool


@router.post("", status_code=201)
async def post_comment(body: CommentBody, commander: RequestCommander) -> Envelope[CommentAnswer]:
    """Comment on a video."""
    return await _post(commander, str(body.video_id), None, body.text)


@router.post("/{comment_id}/reply", status_code=201)
async def reply(
    comment_id: UUID, body: TextBody, commander: RequestCommander
) -> Envelope[CommentAnswer]:
    """Reply to a comment."""
    place = await _place(commander, comment_id)
    return await _post(commander, place.video_id, place.comment_id, body.text)


@router.put("/{comment_id}")
async def edit_comment(
    comment_id: UUID, body: TextBody, commander: RequestCommander
) -> Envelope[CommentAnswer]:
    """Edit one's own comment."""
    actor_id = commander.caller.user_id
    place = await _place(commander, comment_id)
    await commander.services.keys.load([actor_id])
    outcome = await commander.execute(
        EditComment(
            comment_id=place.comment_id,
            video_id=place.video_id,
            actor_id=actor_id,
            text=body.text,
        )
    )
    return Envelope(data=CommentAnswer.model_validate(outcome.answer), meta=commander.meta)


@router.delete("/{comment_id}")
async def delete_comment(comment_id: UUID, commander: RequestCommander) -> Envelope[CommentAnswer]:
    """Take a comment back; its replies stay. For its author or an admin."""
    actor_id = commander.caller.user_id
    place = await _place(commander, comment_id, even_deleted=True)
    outcome = await commander.execute(
        DeleteComment(
            comment_id=place.comment_id,
            video_id=place.video_id,
            actor_id=actor_id,
            actor_role=commander.caller.role,
        )
    )
    return Envelope(data=CommentAnswer.model_validate(outcome.answer), meta=commander.meta)


@router.post("/{comment_id}/like")
async def like_comment(comment_id: UUID, commander: RequestCommander) -> Envelope[CommentLiked]:
    """Like a comment; liking twice changes nothing."""
    return await _like(commander, comment_id, LikeComment)


@router.delete("/{comment_id}/like")
async def unlike_comment(comment_id: UUID, commander: RequestCommander) -> Envelope[CommentLiked]:
    """Withdraw a like of a comment."""
    return await _like(commander, comment_id, UnlikeComment)


@router.post("/{comment_id}/report", status_code=201)
async def report_comment(
    comment_id: UUID, body: ReportBody, commander: RequestCommander
) -> Envelope[CommentReported]:
    """Report a comment to the moderators; a second report by the same person adds nothing."""
    reporter_id = commander.caller.user_id
    place = await _place(commander, comment_id)
    await commander.services.keys.load([reporter_id])
    outcome = await commander.execute(
        ReportComment(
            comment_id=place.comment_id,
            video_id=place.video_id,
            reporter_id=reporter_id,
            reason=body.reason,
            note=body.note,
        )
    )
    return Envelope(data=CommentReported.model_validate(outcome.answer), meta=commander.meta)


async def _place(
    commander: Commander, comment_id: UUID, *, even_deleted: bool = False
) -> CommentPlace:
    """Return where the comment stands; raises NotFound.

    A request that was decided before is answered as it was then, although the comment is gone;
    one that may be sent twice without a key, as a removal, goes through ``even_deleted``.
    """
    place = await commander.services.directory.comment(str(comment_id))
    if place is None or (place.deleted and not even_deleted and not await commander.was_decided()):
        raise NotFound("No such comment", code="COMMENT_NOT_FOUND")
    await require_video(commander, place.video_id)
    return place


async def _post(
    commander: Commander, video_id: str, parent_id: str | None, text: str
) -> Envelope[CommentAnswer]:
    author_id = commander.caller.user_id
    await require_video(commander, video_id)
    await commander.services.keys.load([author_id])
    outcome = await commander.execute(
        PostComment(
            comment_id=commander.new_id("comment"),
            video_id=video_id,
            author_id=author_id,
            parent_comment_id=parent_id,
            text=text,
        )
    )
    return Envelope(data=CommentAnswer.model_validate(outcome.answer), meta=commander.meta)


async def _like(
    commander: Commander, comment_id: UUID, wish: type[LikeComment | UnlikeComment]
) -> Envelope[CommentLiked]:
    user_id = commander.caller.user_id
    place = await _place(commander, comment_id)
    outcome = await commander.execute(
        wish(comment_id=place.comment_id, video_id=place.video_id, user_id=user_id)
    )
    return Envelope(data=CommentLiked.model_validate(outcome.answer), meta=commander.meta)
