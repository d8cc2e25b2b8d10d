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
    ReviewNoteErased,
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


class EraseReviewNote(ModerationCommand):
    """Let go of the words of a reviewer who is forgotten."""

    name = "moderation.erase_review_note"

    reviewer_id: Id


class ModerationCase(State):
    """``note_by`` is whose words stand beside the last decision."""

    action: ModerationAction | None = None
    decision: ReviewDecision | None = None
    note_by: str | None = None


def evolve(
    state: ModerationCase, event: ContentScored | ContentReviewed | ReviewNoteErased
) -> ModerationCase:
    match event:
        case ContentScored():
            return ModerationCase(action=event.action, note_by=state.note_by)
        case ContentReviewed():
            changes = {"decision": event.decision, "note_by": event.reviewer_id}
            return state.model_copy(update=changes)
        case ReviewNoteErased():
            return state.model_copy(update={"note_by": None})
        case _:
            assert_never(event)


def decide(
    command: RecordScore | ReviewContent | EraseReviewNote, state: ModerationCase
) -> Sequence[Event]:
    match command:
        case RecordScore():
            return [ContentScored(**vars(command))]
        case ReviewContent():
            return _review(command, state)
        case EraseReviewNote():
            theirs = state.note_by == command.reviewer_id
            return [ReviewNoteErased(**vars(command))] if theirs else []
        case _:
            assert_never(command)


def _review(command: ReviewContent, state: ModerationCase) -> Sequence[Event]:
    """A person's decision stands above a model's.

    A comment that only viewers reported was never scored as doubtful, and can be reviewed too.
    Reports are not known here: one may have come since the same was decided of a comment before,
    and its case waits until it is decided anew. Of anything else the same again adds nothing.
    """
    if command.subject_type is SubjectType.COMMENT:
        return [ContentReviewed(**vars(command))]
    if state.action is None:
        raise NotFound("Nothing of that id was ever judged", code="CASE_NOT_FOUND")
    if state.decision == command.decision:
        return []
    return [ContentReviewed(**vars(command))]


def answer(command: ModerationCommand, state: ModerationCase) -> dict[str, Any]:
    return {"id": command.subject_id, "action": state.action, "decision": state.decision}


MODERATION_CASE = Aggregate(
    name="moderation",
    domain=DOMAIN,
    initial=ModerationCase(),
    commands=(RecordScore, ReviewContent, EraseReviewNote),
    events=(ContentScored, ContentReviewed, ReviewNoteErased),
    decide=decide,
    evolve=evolve,
    answer=answer,
)
