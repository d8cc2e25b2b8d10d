from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from events.engagement import VideoLiked
from infra.log_tools.delivery import Pace, event_time, place_of, refuse_own
from infra.log_tools.errors import ForbiddenTarget
from schemas.catalogue import topics
from tests.unit.events.known import ADA, BEN, NOW, VIDEO
from tests.unit.log_tools.records import record_of

START = datetime(2026, 3, 1, tzinfo=UTC)


class Watch:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.mark.parametrize(("speed", "slept"), [(1.0, [2.0, 3.0]), (10.0, [0.2, 0.3]), (None, [])])
def test_events_come_at_the_pace_of_their_times(speed: float | None, slept: list[float]) -> None:
    watch = Watch()
    pace = Pace(speed, lambda: watch.now, watch.sleep)
    for seconds in (0, 2, 1, 5):
        pace.wait(START + timedelta(seconds=seconds))
    assert watch.slept == slept


def test_a_receiver_that_takes_long_is_not_kept_waiting() -> None:
    watch = Watch()
    pace = Pace(1.0, lambda: watch.now, watch.sleep)
    pace.wait(START)
    watch.now += 60
    pace.wait(START + timedelta(seconds=30))
    assert watch.slept == []


LIKED = VideoLiked(video_id=VIDEO, creator_id=ADA, user_id=BEN)


def test_the_time_is_the_events_own() -> None:
    record = record_of(LIKED, timestamp_ms=5_000)
    assert event_time(record) == NOW
    record.headers = {}
    assert event_time(record) == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)


def test_records_come_one_at_a_time_when_paced() -> None:
    records = [record_of(LIKED, offset) for offset in range(3)]
    assert [len(part) for part in Pace(10.0).paced(records)] == [1, 1, 1]
    assert [len(part) for part in Pace(None).paced(records)] == [3]


def test_a_place_is_told() -> None:
    assert place_of(record_of(LIKED, 7, partition=2)) == "events.engagement/2/7"


@pytest.mark.parametrize(
    "topic", [*(each.name for each in topics()), "events.new", "commands.x", "__consumer_offsets"]
)
def test_the_topics_of_the_log_are_refused(topic: str) -> None:
    with pytest.raises(ForbiddenTarget):
        refuse_own(topic)
    refuse_own("somebodys.copy")
