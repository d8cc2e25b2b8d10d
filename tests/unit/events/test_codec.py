"""Events as Kafka records and back."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import orjson
import pytest

from events import clock
from events.base import Event, Recorded
from events.codec import (
    LogRecord,
    decode,
    decode_all_lazily,
    decode_metadata,
    event_headers,
    headers_of,
)
from events.comments import CommentPosted
from events.engagement import VideoLiked
from events.errors import UndecodableRecord, UnknownEventType
from events.users import Role, RoleChanged, UserRegistered
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import (
    ADA,
    BEN,
    COMMENT,
    NOW,
    REPLY,
    VIDEO,
    log_record,
    metadata_of,
)

LIKED = VideoLiked(video_id=VIDEO, creator_id=BEN, user_id=ADA)
POSTED = CommentPosted(
    comment_id=COMMENT, video_id=VIDEO, author_id=ADA, parent_comment_id=REPLY, text="Grüße 🌊"
)


def changed(record: LogRecord, **headers: bytes | None) -> LogRecord:
    kept = {k: v for k, v in {**record.headers, **headers}.items() if v is not None}
    return replace(record, headers=kept)


@pytest.mark.parametrize("event", [LIKED, POSTED], ids=["plain", "personal"])
def test_an_event_comes_back_as_it_went(event: Event) -> None:
    keys = MemoryKeyRing.loaded(ADA)
    record = log_record(event, keys, offset=7)
    assert decode(record, keys) == Recorded(
        event, metadata_of(event, 8), record.source, 7, record.key
    )


def test_nothing_that_was_read_waits_for_the_garbage_collector() -> None:
    """Millions of records in circles cost a reader as much as all that it does with them."""
    keys = MemoryKeyRing()
    gc.disable()
    try:
        record = log_record(LIKED, keys)
        first, again = decode_all_lazily(record, keys) + decode_all_lazily(record, keys)
        assert (first.event, first.metadata.time) == (LIKED, NOW)
        assert again.event is first.event
        event = weakref.ref(first.event)
        del record, first, again
        assert event() is None
    finally:
        gc.enable()


def test_the_headers_are_those_of_cloudevents_in_binary_mode() -> None:
    metadata = replace(metadata_of(LIKED, 3), traceparent="00-trace-span-01")
    headers = {name: value.decode() for name, value in event_headers(LIKED, metadata)}
    assert headers == {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": metadata.event_id,
        "ce_type": "video.liked.v1",
        "ce_source": "/streamhub",
        "ce_subject": metadata.stream,
        "ce_time": "2026-03-01T09:30:00.000000Z",
        "ce_dataschema": "/schemas/video.liked.v1",
        "stream_version": "3",
        "command_id": metadata.command_id,
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
        "actor_id": ADA,
        "traceparent": "00-trace-span-01",
    }


def test_headers_that_have_no_value_are_left_out() -> None:
    metadata = replace(metadata_of(LIKED), actor_id=None)
    names = [name for name, _ in event_headers(LIKED, metadata)]
    assert not {"actor_id", "traceparent", "persons"} & set(names)
    assert decode_metadata(dict(event_headers(LIKED, metadata))) == metadata


def test_the_record_names_the_persons_whose_keys_it_needs() -> None:
    keys = MemoryKeyRing.loaded(ADA)
    assert log_record(POSTED, keys).persons() == [ADA]
    assert log_record(LIKED, keys).persons() == []


@pytest.mark.parametrize("listed", [b"", b"\xff\xfe", b"nobody", b"'; DROP TABLE person_keys"])
def test_what_is_no_id_among_the_persons_is_passed_over(listed: bytes) -> None:
    record = changed(log_record(LIKED, MemoryKeyRing()), persons=listed + b"," + ADA.encode())
    assert record.persons() == [ADA]


def test_a_field_of_a_later_release_is_ignored() -> None:
    record = log_record(LIKED, MemoryKeyRing())
    data = {**orjson.loads(record.value), "mood": "sunny"}
    later = replace(record, value=orjson.dumps(data))
    assert decode(later, MemoryKeyRing()).event == LIKED


def test_a_field_that_is_absent_takes_its_default() -> None:
    keys = MemoryKeyRing.loaded(ADA)
    event = UserRegistered(user_id=ADA, username="ada", email="a@b.org", password_hash="x")
    record = log_record(event, keys)
    data = orjson.loads(record.value)
    del data["role"]
    assert decode(replace(record, value=orjson.dumps(data)), keys).event == event


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"{}", b'{"user_id": "nobody", "role": "viewer"}'],
)
def test_a_body_that_is_not_the_event_is_undecodable(body: bytes) -> None:
    record = log_record(RoleChanged(user_id=ADA, role=Role.ADMIN), MemoryKeyRing())
    with pytest.raises(UndecodableRecord):
        decode(replace(record, value=body), MemoryKeyRing())


@pytest.mark.parametrize(
    "value",
    ["pii:1:", "pii:1:nobody", f"pii:1:{BEN}:AAAA", f"pii:1:{ADA}:!", f"pii:1:{ADA}:AAAA", 5],
)
def test_ciphertext_that_is_none_is_undecodable(value: object) -> None:
    keys = MemoryKeyRing.loaded(ADA)
    record = log_record(POSTED, keys)
    data = {**orjson.loads(record.value), "text": value, "note": "pii:1:"}
    with pytest.raises(UndecodableRecord):
        decode(replace(record, value=orjson.dumps(data)), keys)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("ce_id", None),
        ("ce_type", b"\xff"),
        ("ce_subject", None),
        ("ce_time", b"yesterday"),
        ("ce_time", None),
        ("stream_version", b"first"),
        ("stream_version", None),
        ("command_id", None),
        ("correlation_id", None),
        ("causation_id", None),
        ("actor_id", b"\xff"),
    ],
)
def test_a_header_that_is_missing_or_malformed_is_undecodable(
    header: str, value: bytes | None
) -> None:
    record = changed(log_record(LIKED, MemoryKeyRing()), **{header: value})
    with pytest.raises(UndecodableRecord):
        decode(record, MemoryKeyRing())


@pytest.mark.parametrize(
    "stored_name",
    [b"video.adored.v1", b"video.liked.v2", b"video.liked.v0", b"video.liked", b"video.liked.vX"],
)
def test_a_stored_name_that_nobody_registered_is_unknown(stored_name: bytes) -> None:
    record = changed(log_record(LIKED, MemoryKeyRing()), ce_type=stored_name)
    with pytest.raises(UnknownEventType):
        decode(record, MemoryKeyRing())


def test_a_header_without_a_value_counts_as_absent() -> None:
    assert headers_of([("a", b"1"), ("b", None)]) == {"a": b"1"}
    assert headers_of(None) == {}


def test_times_stand_in_utc_with_microseconds() -> None:
    text = clock.to_text(clock.from_text("2026-03-01T10:30:00.5+01:00"))
    assert text == "2026-03-01T09:30:00.500000Z"
    assert clock.from_text(clock.to_text(NOW)) == NOW


def test_ids_from_the_same_parts_are_the_same() -> None:
    assert clock.id_from("a", "b") == clock.id_from("a", "b")
    assert clock.id_from("a", "b") != clock.id_from("ab")
    assert clock.id_from("a", "b") != clock.id_from("b", "a")
    assert clock.new_id() < clock.new_id()
