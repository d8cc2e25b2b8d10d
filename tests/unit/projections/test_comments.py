"""Comments with their threads, likes and reports: rows after facts."""

from __future__ import annotations

from typing import Any

from events.base import Event
from events.comments import (
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
from projections.comments import COMMENT_THREADS
from tests.unit.events.known import ADA, BEN, COMMENT, LATER, NOW, REPLY, VIDEO, recorded
from tests.unit.projections.memory import Rows, rows_after

PLACE = {"comment_id": COMMENT, "video_id": VIDEO}
POSTED = CommentPosted(**PLACE, author_id=ADA, parent_comment_id=None, text="Hello")
ANSWERED = CommentPosted(
    comment_id=REPLY, video_id=VIDEO, author_id=BEN, parent_comment_id=COMMENT, text="Hi"
)


def after(*events: Event) -> dict[str, Rows]:
    facts = [recorded(event, number) for number, event in enumerate(events)]
    return rows_after(COMMENT_THREADS, *facts)


def comment_after(*events: Event) -> dict[str, Any]:
    return after(*events)["comments"][COMMENT,]


def test_a_comment_stands_under_its_video() -> None:
    assert comment_after(POSTED) == {
        "id": COMMENT,
        "user_id": ADA,
        "video_id": VIDEO,
        "parent_comment_id": None,
        "text": "Hello",
        "created_at": NOW,
        "updated_at": NOW,
        "is_edited": False,
        "is_deleted": False,
        "is_hidden": False,
        "toxicity": None,
        "like_count": 0,
        "reply_count": 0,
        "report_count": 0,
    }


def test_replies_are_counted_at_their_parent() -> None:
    assert comment_after(POSTED, ANSWERED)["reply_count"] == 1
    gone = CommentDeleted(comment_id=REPLY, video_id=VIDEO, parent_comment_id=COMMENT)
    assert comment_after(POSTED, ANSWERED, gone)["reply_count"] == 0


def test_an_edit_shows() -> None:
    edited = CommentEdited(**PLACE, author_id=ADA, text="Hello!")
    row = rows_after(COMMENT_THREADS, recorded(POSTED), recorded(edited, 1, LATER))["comments"][
        COMMENT,
    ]
    assert (row["text"], row["is_edited"]) == ("Hello!", True)
    assert (row["created_at"], row["updated_at"]) == (NOW, LATER)


def test_a_deleted_comment_keeps_its_place_and_loses_its_text() -> None:
    deleted = CommentDeleted(**PLACE, parent_comment_id=None)
    row = comment_after(POSTED, ANSWERED, deleted)
    assert (row["is_deleted"], row["text"], row["reply_count"]) == (True, "", 1)


def test_a_comment_is_hidden_and_restored() -> None:
    hidden = CommentHidden(**PLACE, hidden_by=HiddenBy.MODEL, score=0.9)
    row = comment_after(POSTED, hidden)
    assert (row["is_hidden"], row["toxicity"]) == (True, 0.9)
    assert comment_after(POSTED, hidden, CommentRestored(**PLACE))["is_hidden"] is False


def test_likes_are_counted_and_say_whose_they_are() -> None:
    liked, unliked = CommentLiked(**PLACE, user_id=BEN), CommentUnliked(**PLACE, user_id=BEN)
    tables = after(POSTED, liked)
    assert tables["comments"][COMMENT,]["like_count"] == 1
    assert set(tables["comment_likes"]) == {(BEN, COMMENT)}
    tables = after(POSTED, liked, unliked)
    assert tables["comments"][COMMENT,]["like_count"] == 0
    assert not tables["comment_likes"]


def test_reports_are_counted_and_say_why() -> None:
    reported = CommentReported(**PLACE, reporter_id=BEN, reason=ReportReason.SPAM, note="Again")
    tables = after(POSTED, reported)
    assert tables["comments"][COMMENT,]["report_count"] == 1
    assert tables["comment_reports"] == {
        (BEN, COMMENT): {
            "reporter_id": BEN,
            "comment_id": COMMENT,
            "reason": "spam",
            "note": "Again",
            "created_at": NOW,
        }
    }


def test_an_erased_report_still_counts() -> None:
    reported = CommentReported(**PLACE, reporter_id=BEN, reason=ReportReason.SPAM, note="Again")
    tables = after(POSTED, reported, ReportErased(**PLACE, reporter_id=BEN))
    assert tables["comments"][COMMENT,]["report_count"] == 1
    assert not tables["comment_reports"]
