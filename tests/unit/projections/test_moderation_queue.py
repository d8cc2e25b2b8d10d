"""The moderation queue: rows after facts."""

from __future__ import annotations

from typing import Any

import pytest

from events.base import Event
from events.comments import CommentReported, ReportReason
from events.moderation import (
    ContentReviewed,
    ContentScored,
    ModerationAction,
    ReviewDecision,
    SubjectType,
)
from projections.moderation_queue import MODERATION_QUEUE
from tests.unit.events.known import ADA, BEN, COMMENT, LATER, NOW, VIDEO, recorded
from tests.unit.projections.memory import rows_after


def scored(action: ModerationAction) -> ContentScored:
    return ContentScored(
        subject_id=VIDEO,
        subject_type=SubjectType.VIDEO,
        video_id=VIDEO,
        model="image",
        score=0.8,
        flagged=action is not ModerationAction.ALLOW,
        action=action,
    )


def reported(reporter_id: str = ADA) -> CommentReported:
    return CommentReported(
        comment_id=COMMENT,
        video_id=VIDEO,
        reporter_id=reporter_id,
        reason=ReportReason.SPAM,
        note="Again",
    )


def reviewed(subject_id: str, kind: SubjectType) -> ContentReviewed:
    return ContentReviewed(
        subject_id=subject_id,
        subject_type=kind,
        video_id=VIDEO,
        reviewer_id=BEN,
        decision=ReviewDecision.APPROVE,
        note="Fine",
    )


def case_after(subject_id: str, *events: Event) -> dict[str, Any]:
    times = (NOW, LATER)
    facts = [recorded(e, number, times[min(number, 1)]) for number, e in enumerate(events)]
    return rows_after(MODERATION_QUEUE, *facts)["moderation_cases"][subject_id,]


@pytest.mark.parametrize("action", list(ModerationAction))
def test_only_what_a_model_doubts_waits_for_a_reviewer(action: ModerationAction) -> None:
    row = case_after(VIDEO, scored(action))
    assert row["is_open"] is (action is ModerationAction.REVIEW)
    assert (row["subject_type"], row["model"], row["score"]) == ("video", "image", 0.8)
    assert (row["action"], row["opened_at"]) == (action, NOW)


def test_a_reported_comment_waits_for_a_reviewer() -> None:
    row = case_after(COMMENT, reported(), reported(BEN))
    assert (row["is_open"], row["report_count"]) == (True, 2)
    assert (row["subject_type"], row["video_id"]) == ("comment", VIDEO)


def test_a_decision_closes_the_case() -> None:
    row = case_after(VIDEO, scored(ModerationAction.REVIEW), reviewed(VIDEO, SubjectType.VIDEO))
    assert row["is_open"] is False
    assert (row["decision"], row["reviewer_id"], row["note"]) == ("approve", BEN, "Fine")
    assert (row["opened_at"], row["decided_at"]) == (NOW, LATER)


def test_a_report_after_a_decision_opens_the_case_again() -> None:
    row = case_after(COMMENT, reviewed(COMMENT, SubjectType.COMMENT), reported())
    assert row["is_open"] is True


def test_a_decision_closes_a_case_that_was_only_reported() -> None:
    row = case_after(COMMENT, reported(), reviewed(COMMENT, SubjectType.COMMENT))
    assert (row["is_open"], row["report_count"]) == (False, 1)
