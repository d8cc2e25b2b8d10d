"""Likes, shares, views and the player's beats."""

from __future__ import annotations

import pytest

from commands.aggregate import Aggregate
from commands.engagement import (
    BEATS,
    LIKE,
    SHARES,
    VIEWS,
    EngagementCommand,
    LikeVideo,
    RecordEngagement,
    RecordView,
    ShareVideo,
    Tally,
    UnlikeVideo,
)
from events.base import Event
from events.engagement import (
    EngagementKind,
    EngagementRecorded,
    VideoLiked,
    VideoShared,
    VideoUnliked,
    VideoViewed,
)
from tests.unit.commands.given import given
from tests.unit.events.known import ADA, BEN, VIDEO

LIKE_IT = LikeVideo(video_id=VIDEO, creator_id=BEN, user_id=ADA)
UNLIKE_IT = UnlikeVideo(video_id=VIDEO, creator_id=BEN, user_id=ADA)
LIKED = VideoLiked(video_id=VIDEO, creator_id=BEN, user_id=ADA)
UNLIKED = VideoUnliked(video_id=VIDEO, creator_id=BEN, user_id=ADA)
VIEW = {
    "video_id": VIDEO,
    "creator_id": BEN,
    "user_id": None,
    "session_id": "tv",
    "watch_duration_seconds": 4.5,
    "device": "tv",
    "country": "NO",
    "referrer": None,
}
BEAT = {
    "video_id": VIDEO,
    "creator_id": BEN,
    "user_id": ADA,
    "session_id": "tv",
    "kind": EngagementKind.SEEK,
    "position_seconds": 60.0,
    "watch_duration_seconds": 4.5,
    "device": None,
    "country": None,
}
SHARE = {"video_id": VIDEO, "creator_id": BEN, "user_id": None, "channel": "link"}


def test_a_like_counts_once() -> None:
    assert given(LIKE).when(LIKE_IT).then(LIKED) == {"videoId": VIDEO, "liked": True}
    assert given(LIKE, LIKED).when(LIKE_IT).then_nothing() == {"videoId": VIDEO, "liked": True}


def test_a_like_is_taken_back_once() -> None:
    assert given(LIKE, LIKED).when(UNLIKE_IT).then(UNLIKED) == {"videoId": VIDEO, "liked": False}
    given(LIKE, LIKED, UNLIKED).when(UNLIKE_IT).then_nothing()
    given(LIKE).when(UNLIKE_IT).then_nothing()


def test_a_like_can_be_given_again() -> None:
    given(LIKE, LIKED, UNLIKED).when(LIKE_IT).then(LIKED)


def test_each_persons_like_is_a_stream_of_the_video() -> None:
    other = LikeVideo(video_id=VIDEO, creator_id=BEN, user_id=BEN)
    assert LIKE_IT.key() == other.key() == VIDEO
    assert LIKE_IT.stream() == UNLIKE_IT.stream() != other.stream()


@pytest.mark.parametrize(
    ("aggregate", "command", "event"),
    [
        (VIEWS, RecordView(**VIEW), VideoViewed(**VIEW)),
        (BEATS, RecordEngagement(**BEAT), EngagementRecorded(**BEAT)),
        (SHARES, ShareVideo(**SHARE), VideoShared(**SHARE)),
    ],
    ids=["view", "beat", "share"],
)
def test_facts_without_a_decision_are_recorded_as_they_come(
    aggregate: Aggregate[Tally], command: EngagementCommand, event: Event
) -> None:
    told = given(aggregate, event).when(command).then(event)
    assert told == {"videoId": VIDEO, "recorded": True}
    assert command.key() == VIDEO
