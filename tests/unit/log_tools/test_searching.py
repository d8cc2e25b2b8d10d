from __future__ import annotations

from datetime import timedelta

import pytest

from events import clock
from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.errors import BadSelection
from infra.log_tools.reader import Span
from infra.log_tools.searching import _cursor, _from_cursor, born, speaks_of

ONE, TWO = TopicPartition("events.videos", 0), TopicPartition("events.videos", 1)
SPANS = {ONE: Span(5, 90), TWO: Span(0, 10)}


def test_ids_of_ours_tell_when_they_were_made() -> None:
    made = born(clock.new_id())
    assert made is not None
    assert timedelta(0) < clock.now() - made < timedelta(minutes=2)
    assert born(clock.new_id().replace("-", "")) is not None


@pytest.mark.parametrize(
    "text",
    ["", "x", clock.id_from("a"), "video-1", "7" * 400, "ffffffff-ffff-7fff-8fff-ffffffffffff"],
)
def test_other_ids_do_not(text: str) -> None:
    assert born(text) is None


def test_a_search_goes_on_where_it_ended() -> None:
    at = {ONE: 17, TWO: 10}
    assert _from_cursor(SPANS, _cursor(at)) == {ONE: Span(17, 90), TWO: Span(10, 10)}
    assert _from_cursor(SPANS, "") == SPANS


def test_it_does_not_go_beyond_what_is_there() -> None:
    cursor = _cursor({ONE: 0, TWO: 10**9})
    assert _from_cursor(SPANS, cursor) == {ONE: Span(5, 90), TWO: Span(10, 10)}


@pytest.mark.parametrize("cursor", ["x", "events.users:0:1", "events.videos:0:x", "::", "\x00"])
def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(BadSelection):
        _from_cursor(SPANS, cursor)


@pytest.mark.parametrize(
    ("key", "stream", "wanted"),
    [("v1", "", True), ("", "like-v1:u1", True), ("v2", "like-v2:u1", False)],
)
def test_a_record_speaks_of_its_key_and_its_stream(key: str, stream: str, wanted: bool) -> None:
    record = LogRecord(ONE, 0, key, b"", {"ce_subject": stream.encode()}, 0)
    assert speaks_of("v1")(record) is wanted
