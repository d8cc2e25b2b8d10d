"""Moderation: what models say of videos and texts, and what reviewers decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, assert_never

from commands.aggregate import Aggregate, State
from events.base import Command, Event, Id
from events.errors import NotFound
from events.moderation import (
    DOMAIN,
    ContentReviewed,
    ContentScored,
    ModerationAction,
    ReviewDecision,
    SubjectType,
)
from events.privacy import Personal


class ModerationCommand(Command):
    domain = DOMAIN

    subject_id: Id
    subject_type: SubjectType
    video_id: Id | None

    def key(self) -> str:
        return self.subject_id

    def stream(self) -> str:
        return f"moderation-{self.subject_id}"


class RecordScore(ModerationCommand):
    name = "moderation.record_score"

    model: str
    score: float
    flagged: bool
    action: ModerationAction


class ReviewContent(ModerationCommand):
    name = "moderation.review"

    reviewer_id: Id
    decision: ReviewDecision
    note: Annotated[str, Personal("reviewer_id")]


class ModerationCase(State):
    action: ModerationAction | None = None
    decision: ReviewDecision | None = None


def evolve(state: ModerationCase, event: ContentScored | ContentReviewed) -> ModerationCase:
    match event:
        case ContentScored():
            return ModerationCase(action=event.action)
        case ContentReviewed():
            return state.model_copy(update={"decision": event.decision})
        case _:
            assert_never(event)


def decide(command: RecordScore | ReviewContent, state: ModerationCase) -> Sequence[Event]:
    match command:
        case RecordScore():
            return [ContentScored(**dict(command))]
        case ReviewContent():
            return _review(command, state)
        case _:
            assert_never(command)


def _review(command: ReviewContent, state: ModerationCase) -> Sequence[Event]:
    """A person's decision stands above a model's; saying the same again adds nothing.

    A comment that only viewers reported was never scored as doubtful, and can be reviewed too.
    """
    if state.action is None and command.subject_type is not SubjectType.COMMENT:
        raise NotFound("Nothing of that id was ever judged", code="CASE_NOT_FOUND")
    if state.decision == command.decision:
        return []
    return [ContentReviewed(**dict(command))]


def answer(command: ModerationCommand, state: ModerationCase) -> dict[str, Any]:
    return {"id": command.subject_id, "action": state.action, "decision": state.decision}


MODERATION_CASE = Aggregate(
    name="moderation",
    domain=DOMAIN,
    initial=ModerationCase(),
    commands=(RecordScore, ReviewContent),
    events=(ContentScored, ContentReviewed),
    decide=decide,
    evolve=evolve,
    answer=answer,
)
