from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from events.base import Event
from events.comments import CommentPosted
from events.engagement import VideoLiked, VideoShared, VideoUnliked
from projections.declaration import RedisCommand
from projections.trending import HOURS, MINUTES, TRENDING, WINDOWS, Buckets, Window
from tests.unit.events.known import ADA, BEN, COMMENT, VIDEO, recorded
from tests.unit.projections.test_hot_counters import VIEWED

LIKED = VideoLiked(video_id=VIDEO, creator_id=ADA, user_id=BEN)
AT = datetime(2026, 3, 1, 9, 33, 20, tzinfo=UTC)
FIVE_MINUTES = int(datetime(2026, 3, 1, 9, 30, tzinfo=UTC).timestamp())
HOUR = int(datetime(2026, 3, 1, 9, 0, tzinfo=UTC).timestamp())


def test_interest_falls_into_the_buckets_of_the_events_own_time() -> None:
    assert list(TRENDING.evolve(recorded(LIKED, at=AT))) == [
        RedisCommand(("ZINCRBY", f"minutes:{FIVE_MINUTES}", 4, VIDEO)),
        RedisCommand(("PEXPIREAT", f"minutes:{FIVE_MINUTES}", (FIVE_MINUTES + 3_900) * 1000)),
        RedisCommand(("ZINCRBY", f"hours:{HOUR}", 4, VIDEO)),
        RedisCommand(("PEXPIREAT", f"hours:{HOUR}", (HOUR + 8 * 86_400 - 82_800) * 1000)),
    ]


@pytest.mark.parametrize(
    ("event", "weight"),
    [
        (VIEWED, 1),
        (LIKED, 4),
        (VideoUnliked(video_id=VIDEO, creator_id=ADA, user_id=BEN), -4),
        (
            CommentPosted(
                comment_id=COMMENT, video_id=VIDEO, author_id=BEN, parent_comment_id=None, text="x"
            ),
            5,
        ),
        (VideoShared(video_id=VIDEO, creator_id=ADA, user_id=None, channel="link"), 6),
    ],
)
def test_an_event_weighs_what_it_says_about_interest(event: Event, weight: int) -> None:
    changes = list(TRENDING.evolve(recorded(event, at=AT)))
    assert RedisCommand(("ZINCRBY", f"hours:{HOUR}", weight, VIDEO)) in changes


@pytest.mark.parametrize("window", WINDOWS.values(), ids=lambda window: window.name)
def test_a_bucket_is_kept_for_as_long_as_its_windows_reach(window: Window) -> None:
    assert window.buckets.kept_s >= window.span_s


@pytest.mark.parametrize("buckets", [MINUTES, HOURS], ids=lambda buckets: buckets.family)
def test_a_bucket_ends_where_the_next_begins(buckets: Buckets) -> None:
    start = buckets.start(AT.timestamp())
    end = datetime.fromtimestamp(start, UTC) + timedelta(seconds=buckets.width_s)
    assert buckets.start(end.timestamp() - 0.001) == start
    assert buckets.start(end.timestamp()) == start + buckets.width_s
