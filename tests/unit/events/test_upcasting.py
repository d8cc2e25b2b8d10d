"""Lifting old events: a real case, with a registry of its own."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from events.base import Event, Id, Recorded, TopicPartition
from events.codec import LogRecord, decode, event_headers
from events.errors import UndecodableRecord, UnknownEventType
from events.registry import EventRegistry, parse_stored_name
from events.upcasting import Upcaster, UpcasterChain
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, VIDEO, metadata_of


class ClipTrimmedFirst(Event):
    """As it was: where the clip was cut, as a text such as ``1:30``."""

    name = "clip.trimmed"
    domain = "clips"

    video_id: Id
    start: str


class ClipTrimmed(Event):
    """As it is: the cut in seconds, who made it, and why."""

    name = "clip.trimmed"
    version = 3
    domain = "clips"

    video_id: Id
    start_seconds: int
    trimmed_by: Id | None
    reason: str = "unknown"


def to_seconds(data: dict[str, Any]) -> dict[str, Any]:
    """Version 2 counts in seconds."""
    minutes, _, seconds = data.pop("start").partition(":")
    return {**data, "start_seconds": int(minutes) * 60 + int(seconds)}


def name_the_editor(data: dict[str, Any]) -> dict[str, Any]:
    """Version 3 names who did it, which nobody knows of older cuts."""
    return {**data, "trimmed_by": None}


UPCASTERS: dict[str, Upcaster] = {
    "clip.trimmed.v1": to_seconds,
    "clip.trimmed.v2": name_the_editor,
}
REGISTRY = EventRegistry([ClipTrimmed], UPCASTERS)


def record_of(stored_name: str, body: dict[str, Any]) -> LogRecord:
    event = ClipTrimmedFirst(video_id=VIDEO, start="1:30")
    headers = {**dict(event_headers(event, metadata_of(event))), "ce_type": stored_name.encode()}
    source = TopicPartition("events.clips", 0)
    return LogRecord(source, 4, VIDEO, orjson.dumps(body), headers, 0)


def read(record: LogRecord) -> Recorded:
    return decode(record, MemoryKeyRing(), REGISTRY)


def test_a_record_of_the_first_version_is_lifted_over_each_step() -> None:
    recorded = read(record_of("clip.trimmed.v1", {"video_id": VIDEO, "start": "1:30"}))
    assert recorded.event == ClipTrimmed(video_id=VIDEO, start_seconds=90, trimmed_by=None)
    assert recorded.metadata.stored_name == "clip.trimmed.v1"


def test_a_record_of_a_later_version_takes_the_steps_that_are_left() -> None:
    recorded = read(record_of("clip.trimmed.v2", {"video_id": VIDEO, "start_seconds": 5}))
    assert recorded.event == ClipTrimmed(video_id=VIDEO, start_seconds=5, trimmed_by=None)


def test_a_record_of_the_current_version_is_left_as_it_is() -> None:
    body = {"video_id": VIDEO, "start_seconds": 5, "trimmed_by": ADA, "reason": "too long"}
    assert read(record_of("clip.trimmed.v3", body)).event == ClipTrimmed.model_validate(body)


def test_a_version_that_does_not_exist_yet_is_unknown() -> None:
    with pytest.raises(UnknownEventType):
        read(record_of("clip.trimmed.v4", {}))


def test_a_step_that_is_missing_is_named() -> None:
    gap = EventRegistry([ClipTrimmed], {"clip.trimmed.v1": to_seconds})
    record = record_of("clip.trimmed.v1", {"video_id": VIDEO, "start": "1:30"})
    with pytest.raises(UnknownEventType, match=r"clip\.trimmed\.v2"):
        decode(record, MemoryKeyRing(), gap)


@pytest.mark.parametrize("body", [{"video_id": VIDEO}, {"video_id": VIDEO, "start": 5}])
def test_an_old_body_that_an_upcaster_chokes_on_is_undecodable(body: dict[str, Any]) -> None:
    with pytest.raises(UndecodableRecord):
        read(record_of("clip.trimmed.v1", body))


def test_the_chain_knows_what_it_can_lift() -> None:
    assert UpcasterChain(UPCASTERS).sources() == {"clip.trimmed.v1", "clip.trimmed.v2"}


def test_a_stored_name_is_a_name_and_a_version() -> None:
    assert parse_stored_name("video.engagement_recorded.v12") == ("video.engagement_recorded", 12)
