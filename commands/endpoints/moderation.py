"""Moderation: judging a text on request, and reviewing what waits in the queue."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import StringConstraints

from commands.endpoints.fields import ShortText
from commands.moderation import RecordScore, ReviewContent
from commands.services import Commander, RequestCommander
from events.errors import NotFound
from events.moderation import ModerationAction, ReviewDecision, SubjectType
from events.users import Role
from schemas.http.envelope import ApiModel, Envelope, RequestModel
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=f"{API}/moderation", tags=["moderation"], route_class=Route)


class TextBody(RequestModel):
    text: Annotated[str, StringConstraints(min_length=1, max_length=5000)]


class TextVerdict(ApiModel):
    id: str
    score: float
    flagged: bool
    action: ModerationAction


class ReviewedType(StrEnum):
    VIDEO = "video"
    COMMENT = "comment"


class ReviewBody(RequestModel):
    """``approve`` lets it stand, ``reject`` takes it away."""

    decision: ReviewDecision
    subject_type: ReviewedType
    note: ShortText = ""


class Reviewed(ApiModel):
    id: str
    decision: ReviewDecision


@router.post("/check-text")
async def check_text(body: TextBody, commander: RequestCommander) -> Envelope[TextVerdict]:
    """Judge a text; the verdict is recorded, the text is not."""
    commander.caller.require(*Role)
    services = commander.services
    score = await services.text_judge.score(body.text)
    flagged = score > services.limits.toxicity_threshold
    action = ModerationAction.BLOCK if flagged else ModerationAction.ALLOW
    outcome = await commander.execute(
        RecordScore(
            subject_id=commander.new_id("text"),
            subject_type=SubjectType.TEXT,
            video_id=None,
            model="text",
            score=score,
            flagged=flagged,
            action=action,
        )
    )
    verdict = TextVerdict(id=outcome.answer["id"], score=score, flagged=flagged, action=action)
    return Envelope(data=verdict, meta=commander.meta)


@router.post("/review/{subject_id}")
async def review(
    subject_id: UUID, body: ReviewBody, commander: RequestCommander
) -> Envelope[Reviewed]:
    """Record a reviewer's decision; for admins."""
    reviewer_id = commander.caller.require(Role.ADMIN)
    await commander.services.keys.load([reviewer_id])
    outcome = await commander.execute(
        ReviewContent(
            subject_id=str(subject_id),
            subject_type=SubjectType(body.subject_type),
            video_id=await _video_of(commander, str(subject_id), body.subject_type),
            reviewer_id=reviewer_id,
            decision=body.decision,
            note=body.note,
        )
    )
    data = Reviewed(id=outcome.answer["id"], decision=ReviewDecision(outcome.answer["decision"]))
    return Envelope(data=data, meta=commander.meta)


async def _video_of(commander: Commander, subject_id: str, subject_type: ReviewedType) -> str:
    """Return the video that is judged, or that the judged comment stands under."""
    if subject_type is ReviewedType.VIDEO:
        return subject_id
    place = await commander.services.directory.comment(subject_id)
    if place is None:
        raise NotFound("No such comment", code="COMMENT_NOT_FOUND")
    return place.video_id
