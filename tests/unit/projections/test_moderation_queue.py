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
    ReviewNoteErased,
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
def test_a_score_is_kept_with_its_time(action: ModerationAction) -> None:
    row = case_after(VIDEO, scored(action))
    assert (row["subject_type"], row["model"], row["score"]) == ("video", "image", 0.8)
    assert (row["action"], row["scored_at"]) == (action, NOW)
    assert (row["reported_at"], row["decided_at"]) == (None, None)


def test_reports_are_counted_with_the_time_of_the_last() -> None:
    row = case_after(COMMENT, reported(), reported(BEN))
    assert (row["report_count"], row["reported_at"]) == (2, LATER)
    assert (row["subject_type"], row["video_id"]) == ("comment", VIDEO)


def test_a_decision_is_kept_with_its_time() -> None:
    row = case_after(VIDEO, scored(ModerationAction.REVIEW), reviewed(VIDEO, SubjectType.VIDEO))
    assert (row["decision"], row["reviewer_id"], row["note"]) == ("approve", BEN, "Fine")
    assert (row["scored_at"], row["decided_at"]) == (NOW, LATER)


def test_it_does_not_matter_whether_a_report_or_a_decision_is_read_first() -> None:
    report, decision = recorded(reported()), recorded(reviewed(COMMENT, SubjectType.COMMENT), 1)
    there = rows_after(MODERATION_QUEUE, report, decision)
    assert there == rows_after(MODERATION_QUEUE, decision, report)


def test_a_decision_outlives_the_words_beside_it() -> None:
    decided = reviewed(VIDEO, SubjectType.VIDEO)
    erased = ReviewNoteErased(
        subject_id=VIDEO,
        subject_type=SubjectType.VIDEO,
        video_id=VIDEO,
        reviewer_id=decided.reviewer_id,
    )
    row = case_after(VIDEO, scored(ModerationAction.REVIEW), decided, erased)
    assert (row["decision"], row["note"]) == (decided.decision, "")
