"""The watch page: rows after facts."""

from __future__ import annotations

from typing import Any

import pytest

from events.base import Event
from events.comments import CommentDeleted, CommentPosted
from events.engagement import VideoLiked, VideoShared, VideoUnliked
from events.videos import (
    TranscodeProgressed,
    TranscodeStarted,
    VideoBlocked,
    VideoDeleted,
    VideoFailed,
    VideoUnblocked,
    VideoUpdated,
    Visibility,
)
from projections.watch_page import WATCH_PAGE
from tests.unit.commands.known_videos import CREATED, ready
from tests.unit.events.known import ADA, BEN, COMMENT, LATER, NOW, VIDEO, recorded
from tests.unit.projections.memory import rows_after
from tests.unit.projections.test_accounts import VIEWED

LIKED = VideoLiked(video_id=VIDEO, creator_id=ADA, user_id=BEN)
UNLIKED = VideoUnliked(video_id=VIDEO, creator_id=ADA, user_id=BEN)
POSTED = CommentPosted(
    comment_id=COMMENT, video_id=VIDEO, author_id=BEN, parent_comment_id=None, text="Hello"
)


def video_after(*events: Event) -> dict[str, Any]:
    facts = [recorded(event, number) for number, event in enumerate(events)]
    return rows_after(WATCH_PAGE, *facts)["videos"][VIDEO,]


def test_a_new_video_is_processing() -> None:
    row = video_after(CREATED)
    assert {
        "creator_id": ADA,
        "title": "The harbour",
        "description": "At dawn",
        "tags": ("boats",),
        "category": "travel",
        "visibility": "public",
        "status": "processing",
        "progress": 0,
        "uploaded_at": NOW,
        "view_count": 0,
        "like_count": 0,
    }.items() <= row.items()


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    edited = VideoUpdated(
        video_id=VIDEO, creator_id=ADA, title="Boats", tags=(), visibility=Visibility.PRIVATE
    )
    row = video_after(CREATED, edited)
    assert (row["title"], row["description"], row["tags"]) == ("Boats", "At dawn", ())
    assert (row["visibility"], row["category"]) == ("private", "travel")


def test_progress_starts_anew_with_each_attempt() -> None:
    started = TranscodeStarted(video_id=VIDEO, attempt=1)
    progressed = TranscodeProgressed(video_id=VIDEO, attempt=1, fraction=0.4)
    assert video_after(CREATED, started, progressed)["progress"] == pytest.approx(0.4)
    again = TranscodeStarted(video_id=VIDEO, attempt=2)
    assert video_after(CREATED, started, progressed, again)["progress"] == 0


def test_a_ready_video_can_be_played() -> None:
    tables = rows_after(WATCH_PAGE, recorded(CREATED), recorded(ready(), 1, LATER))
    row = tables["videos"][VIDEO,]
    assert (row["status"], row["progress"]) == ("ready", 1.0)
    assert (row["video_url"], row["thumbnail_url"]) == (
        "videos/harbour/master.m3u8",
        "videos/harbour/thumbnail.jpg",
    )
    assert (row["resolution"], row["duration"], row["bitrate"]) == ("1280x720", 12.5, 3_000_000)
    assert (row["uploaded_at"], row["processed_at"]) == (NOW, LATER)
    assert tables["video_streams"] == {
        (VIDEO, "360p"): {
            "video_id": VIDEO,
            "quality": "360p",
            "hls_url": "videos/harbour/360p.m3u8",
            "file_size": 1_000,
            "bitrate": 800_000,
            "resolution": "640x360",
            "created_at": LATER,
        }
    }


def test_names_that_a_source_made_up_fit_their_columns() -> None:
    long = ready().model_copy(update={"codec": "c" * 80, "format": "f" * 80})
    row = video_after(CREATED, long)
    assert (len(row["codec"]), len(row["format"])) == (50, 20)


def test_a_failed_video_says_why() -> None:
    failed = VideoFailed(video_id=VIDEO, creator_id=ADA, code="MEDIA", message="Broken")
    row = video_after(CREATED, failed)
    assert (row["status"], row["failure_code"], row["failure_message"]) == (
        "failed",
        "MEDIA",
        "Broken",
    )


def test_a_deleted_video_keeps_its_row_without_words() -> None:
    row = video_after(CREATED, VideoDeleted(video_id=VIDEO, creator_id=ADA))
    assert (row["status"], row["title"], row["description"]) == ("deleted", None, None)


def test_a_block_can_be_lifted() -> None:
    blocked = VideoBlocked(video_id=VIDEO, creator_id=ADA, reason="nsfw")
    unblocked = VideoUnblocked(video_id=VIDEO, creator_id=ADA)
    assert video_after(CREATED, blocked)["blocked_reason"] == "nsfw"
    assert video_after(CREATED, blocked, unblocked)["blocked_reason"] is None


def test_likes_are_counted_and_say_whose_they_are() -> None:
    liked = rows_after(WATCH_PAGE, recorded(LIKED))
    assert liked["likes"] == {(BEN, VIDEO): {"user_id": BEN, "video_id": VIDEO, "created_at": NOW}}
    taken_back = rows_after(WATCH_PAGE, recorded(LIKED), recorded(UNLIKED, 1))
    assert taken_back["likes"] == {}
    assert taken_back["videos"][VIDEO,]["like_count"] == 0


def test_views_shares_and_comments_are_counted() -> None:
    shared = VideoShared(video_id=VIDEO, creator_id=ADA, user_id=None, channel="link")
    deleted = CommentDeleted(comment_id=COMMENT, video_id=VIDEO, parent_comment_id=None)
    row = video_after(CREATED, VIEWED, VIEWED, shared, POSTED, POSTED, deleted)
    assert (row["view_count"], row["share_count"], row["comment_count"]) == (2, 1, 1)


def test_a_row_that_only_counters_touched_is_no_video_yet() -> None:
    assert video_after(VIEWED)["status"] is None
