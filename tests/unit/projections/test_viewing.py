from __future__ import annotations

import pytest

from events.base import Event
from events.comments import CommentPosted
from events.engagement import (
    EngagementKind,
    EngagementRecorded,
    VideoLiked,
    VideoShared,
    VideoUnliked,
)
from projections.declaration import Append
from projections.stamps import OFFSET
from projections.viewing import ENGAGEMENT, VIEWING, VIEWS
from tests.unit.events.known import ADA, BEN, COMMENT, NOW, VIDEO, metadata_of, recorded
from tests.unit.projections.test_hot_counters import VIEWED


def row(event: Event) -> tuple[str, dict[str, object]]:
    """Return the table and the values of the one row that an event adds, but for its offset."""
    (change,) = VIEWING.evolve(recorded(event, offset=7))
    assert isinstance(change, Append)
    values = dict(change.values)
    assert values.pop(OFFSET) == 7
    assert values.pop("event_id") == metadata_of(event, 8).event_id
    assert values.pop("timestamp") == NOW
    assert values.pop("video_id") == VIDEO
    return change.table, values


def test_a_view_is_a_row_with_all_that_is_known_of_it() -> None:
    assert row(VIEWED) == (
        "views",
        {
            "event_type": "video_view",
            "user_id": None,
            "creator_id": ADA,
            "session_id": "s",
            "watch_duration": 3.0,
            "device": None,
            "country": None,
            "referrer": None,
        },
    )


def test_a_beat_of_the_player_keeps_its_position() -> None:
    beat = EngagementRecorded(
        video_id=VIDEO,
        creator_id=ADA,
        user_id=BEN,
        session_id="s",
        kind=EngagementKind.PROGRESS,
        position_seconds=61.5,
        watch_duration_seconds=10.0,
        device="tv",
        country="CZ",
    )
    table, values = row(beat)
    assert table == "engagement"
    assert (values["event_type"], values["position_seconds"]) == ("progress", 61.5)
    assert (values["user_id"], values["watch_duration"]) == (BEN, 10.0)


@pytest.mark.parametrize(
    ("event", "event_type"),
    [
        (VideoLiked(video_id=VIDEO, creator_id=ADA, user_id=BEN), "like"),
        (VideoUnliked(video_id=VIDEO, creator_id=ADA, user_id=BEN), "unlike"),
        (VideoShared(video_id=VIDEO, creator_id=ADA, user_id=BEN, channel="link"), "share"),
        (
            CommentPosted(
                comment_id=COMMENT, video_id=VIDEO, author_id=BEN, parent_comment_id=None, text="x"
            ),
            "comment",
        ),
    ],
)
def test_reactions_are_rows_of_engagement(event: Event, event_type: str) -> None:
    table, values = row(event)
    assert table == "engagement"
    assert (values["event_type"], values["user_id"]) == (event_type, BEN)


def test_the_text_of_a_comment_is_not_kept() -> None:
    posted = CommentPosted(
        comment_id=COMMENT, video_id=VIDEO, author_id=BEN, parent_comment_id=None, text="private"
    )
    assert "private" not in repr(list(VIEWING.evolve(recorded(posted))))


def test_rows_have_only_declared_columns() -> None:
    declared = {table.name: set(table.columns) for table in (VIEWS, ENGAGEMENT)}
    for event in (VIEWED, VideoShared(video_id=VIDEO, creator_id=ADA, user_id=BEN, channel="x")):
        (change,) = VIEWING.evolve(recorded(event))
        assert isinstance(change, Append)
        assert set(change.values) - {OFFSET} <= declared[change.table]
