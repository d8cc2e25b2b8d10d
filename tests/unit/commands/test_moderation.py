"""Moderation cases: scores of models, decisions of reviewers."""

from __future__ import annotations

from commands.moderation import (
    MODERATION_CASE,
    EraseReviewNote,
    RecordScore,
    ReviewContent,
)
from events.moderation import (
    ContentReviewed,
    ContentScored,
    ModerationAction,
    ReviewDecision,
    ReviewNoteErased,
    SubjectType,
)
from tests.unit.commands.given import given
from tests.unit.events.known import ADA, BEN, COMMENT, VIDEO

SUBJECT = {"subject_id": VIDEO, "subject_type": SubjectType.VIDEO, "video_id": VIDEO}
SCORE = {"model": "image", "score": 0.8, "flagged": True, "action": ModerationAction.REVIEW}
SCORED = ContentScored(**SUBJECT, **SCORE)


def review(decision: ReviewDecision) -> ReviewContent:
    return ReviewContent(**SUBJECT, reviewer_id=ADA, decision=decision, note="Seen")


def reviewed(decision: ReviewDecision) -> ContentReviewed:
    return ContentReviewed(**SUBJECT, reviewer_id=ADA, decision=decision, note="Seen")


def test_a_score_is_recorded() -> None:
    told = given(MODERATION_CASE).when(RecordScore(**SUBJECT, **SCORE)).then(SCORED)
    assert told == {"id": VIDEO, "action": "review", "decision": None}


def test_a_reviewer_decides_once() -> None:
    approve = review(ReviewDecision.APPROVE)
    approved = reviewed(ReviewDecision.APPROVE)
    told = given(MODERATION_CASE, SCORED).when(approve).then(approved)
    assert told == {"id": VIDEO, "action": "review", "decision": "approve"}
    given(MODERATION_CASE, SCORED, approved).when(approve).then_nothing()


def test_a_reviewer_changes_their_mind() -> None:
    rejected = reviewed(ReviewDecision.REJECT)
    decided = given(MODERATION_CASE, SCORED, reviewed(ReviewDecision.APPROVE))
    decided.when(review(ReviewDecision.REJECT)).then(rejected)


def test_a_new_score_opens_the_case_anew() -> None:
    rejected = reviewed(ReviewDecision.REJECT)
    scored_again = given(MODERATION_CASE, SCORED, rejected, SCORED)
    scored_again.when(review(ReviewDecision.REJECT)).then(rejected)


def test_what_was_never_judged_cannot_be_reviewed() -> None:
    given(MODERATION_CASE).when(review(ReviewDecision.REJECT)).then_refused("CASE_NOT_FOUND")


def test_a_comment_that_was_only_reported_can_be_reviewed() -> None:
    subject = {"subject_id": COMMENT, "subject_type": SubjectType.COMMENT, "video_id": VIDEO}
    rest = {"reviewer_id": ADA, "decision": ReviewDecision.REJECT, "note": ""}
    command = ReviewContent(**subject, **rest)
    given(MODERATION_CASE).when(command).then(ContentReviewed(**subject, **rest))


def test_only_the_last_reviewers_words_can_be_let_go() -> None:
    mine = EraseReviewNote(**SUBJECT, reviewer_id=ADA)
    gone = ReviewNoteErased(**SUBJECT, reviewer_id=ADA)
    approved = reviewed(ReviewDecision.APPROVE)
    given(MODERATION_CASE, SCORED, approved).when(mine).then(gone)
    given(MODERATION_CASE, SCORED, approved, SCORED).when(mine).then(gone)
    given(MODERATION_CASE, SCORED, approved, gone).when(mine).then_nothing()
    others = approved.model_copy(update={"reviewer_id": BEN})
    given(MODERATION_CASE, SCORED, approved, others).when(mine).then_nothing()
    given(MODERATION_CASE, SCORED).when(mine).then_nothing()


def test_the_same_can_be_decided_of_a_comment_again() -> None:
    """It may have been reported meanwhile, and its case waits until somebody decides anew."""
    subject = {"subject_id": COMMENT, "subject_type": SubjectType.COMMENT, "video_id": VIDEO}
    approve = ReviewContent(
        **subject, decision=ReviewDecision.APPROVE, reviewer_id=ADA, note="fine"
    )
    approved = ContentReviewed(**vars(approve))
    given(MODERATION_CASE, approved).when(approve).then(approved)
