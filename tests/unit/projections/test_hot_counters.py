from __future__ import annotations

import pytest

from events.base import Event
from events.comments import CommentDeleted, CommentPosted
from events.engagement import VideoLiked, VideoShared, VideoUnliked, VideoViewed
from events.videos import VideoDeleted
from projections.declaration import RedisCommand
from projections.hot_counters import HOT_COUNTERS
from tests.unit.events.known import ADA, BEN, COMMENT, VIDEO, recorded

VIEWED = VideoViewed(
    video_id=VIDEO,
    creator_id=ADA,
    user_id=None,
    session_id="s",
    watch_duration_seconds=3.0,
    device=None,
    country=None,
    referrer=None,
)
POSTED = CommentPosted(
    comment_id=COMMENT, video_id=VIDEO, author_id=BEN, parent_comment_id=None, text="fine"
)


@pytest.mark.parametrize(
    ("event", "counter", "amount"),
    [
        (VIEWED, "views", 1),
        (VideoLiked(video_id=VIDEO, creator_id=ADA, user_id=BEN), "likes", 1),
        (VideoUnliked(video_id=VIDEO, creator_id=ADA, user_id=BEN), "likes", -1),
        (VideoShared(video_id=VIDEO, creator_id=ADA, user_id=None, channel="link"), "shares", 1),
        (POSTED, "comments", 1),
        (
            CommentDeleted(comment_id=COMMENT, video_id=VIDEO, parent_comment_id=None),
            "comments",
            -1,
        ),
    ],
)
def test_an_event_moves_one_counter_of_its_video(event: Event, counter: str, amount: int) -> None:
    assert list(HOT_COUNTERS.evolve(recorded(event))) == [
        RedisCommand(("HINCRBY", f"counters:{VIDEO}", counter, amount))
    ]


def test_other_events_move_nothing() -> None:
    deleted = VideoDeleted(video_id=VIDEO, creator_id=ADA)
    assert list(HOT_COUNTERS.evolve(recorded(deleted))) == []
