"""Events that got another name or became several: real cases, with a registry of their own."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import pytest

from events.base import Event, Id, TopicPartition
from events.codec import LogRecord, decode, decode_all, encode_body, event_headers
from events.errors import UndecodableRecord, UnknownEventType
from events.privacy import Personal
from events.registry import EventRegistry
from events.upcasting import Named, Renamed, Split, Step, leads_to
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, VIDEO, metadata_of


class ChannelDescribed(Event):
    """Was ``channel.renamed`` while a name was all that could be changed."""

    name = "channel.described"
    version = 2
    domain = "channels"

    channel_id: Id
    owner_id: Id
    title: Annotated[str, Personal("owner_id")]
    language: str


class ChannelOpened(Event):
    """Was half of ``channel.created``."""

    name = "channel.opened"
    domain = "channels"

    channel_id: Id
    owner_id: Id


class ChannelRenamedFirst(Event):
    """As it was once written."""

    name = "channel.renamed"
    domain = "channels"

    channel_id: Id
    owner_id: Id
    title: Annotated[str, Personal("owner_id")]


class ChannelCreatedFirst(Event):
    """As it was once written, opening and naming at once."""

    name = "channel.created"
    domain = "channels"

    channel_id: Id
    owner_id: Id
    title: Annotated[str, Personal("owner_id")]
    language: str | None = None


def open_and_describe(data: dict[str, Any]) -> list[Named]:
    """A channel is opened, and described where it had a title."""
    both = {name: data[name] for name in ("channel_id", "owner_id")}
    parts: list[Named] = [("channel.opened.v1", both)]
    if data["title"]:
        parts.append(("channel.renamed.v1", {**both, "title": data["title"]}))
    return parts


STEPS: dict[str, Step] = {
    "channel.renamed.v1": Renamed("channel.described.v1"),
    "channel.described.v1": lambda data: {**data, "language": "und"},
    "channel.created.v1": Split(("channel.opened.v1", "channel.renamed.v1"), open_and_describe),
    "channel.dropped.v1": Split((), lambda _: []),
}
REGISTRY = EventRegistry([ChannelDescribed, ChannelOpened], STEPS)
KEYS = MemoryKeyRing.loaded(ADA)
PLACE = {"channel_id": VIDEO, "owner_id": ADA}
OPENED = ChannelOpened(**PLACE)
DESCRIBED = ChannelDescribed(**PLACE, title="Harbours", language="und")


def record_of(event: Event, **changed: bytes) -> LogRecord:
    headers = {**dict(event_headers(event, metadata_of(event))), **changed}
    source = TopicPartition("events.channels", 0)
    return LogRecord(source, 4, VIDEO, encode_body(event, KEYS), headers, 0)


def test_a_renamed_event_is_read_as_what_it_is_called_now() -> None:
    recorded = decode(record_of(ChannelRenamedFirst(**PLACE, title="Harbours")), KEYS, REGISTRY)
    assert recorded.event == DESCRIBED
    assert recorded.metadata.stored_name == "channel.renamed.v1"


def test_a_split_event_is_read_as_all_that_it_became() -> None:
    record = record_of(ChannelCreatedFirst(**PLACE, title="Harbours"))
    parts = decode_all(record, KEYS, REGISTRY)
    assert [part.event for part in parts] == [OPENED, DESCRIBED]
    assert {(part.offset, part.key, part.metadata.stream_version) for part in parts} == {
        (4, VIDEO, 1)
    }


def test_each_part_has_an_id_of_its_own_the_same_each_time() -> None:
    record = record_of(ChannelCreatedFirst(**PLACE, title="Harbours"))
    ids = [part.metadata.event_id for part in decode_all(record, KEYS, REGISTRY)]
    assert ids[0] == record.headers["ce_id"].decode()
    assert len(set(ids)) == 2
    assert ids == [part.metadata.event_id for part in decode_all(record, KEYS, REGISTRY)]


def test_personal_fields_of_a_part_go_dark_with_their_key() -> None:
    record = record_of(ChannelCreatedFirst(**PLACE, title="Harbours"))
    assert b"Harbours" not in record.value
    _, described = decode_all(record, MemoryKeyRing.loaded_without(ADA), REGISTRY)
    assert described.event == DESCRIBED.model_copy(update={"title": f"erased:{ADA}"})


def test_an_event_may_have_become_nothing() -> None:
    record = record_of(OPENED, ce_type=b"channel.dropped.v1")
    assert decode_all(record, KEYS, REGISTRY) == []


def test_a_reader_of_one_event_is_told_of_several() -> None:
    with pytest.raises(UndecodableRecord, match="2 events"):
        decode(record_of(ChannelCreatedFirst(**PLACE, title="Harbours")), KEYS, REGISTRY)


def test_readers_know_under_which_names_their_events_may_stand() -> None:
    assert REGISTRY.stored_names([ChannelDescribed]) == {
        "channel.described.v2",
        "channel.described.v1",
        "channel.renamed.v1",
        "channel.created.v1",
    }
    assert REGISTRY.stored_names([ChannelOpened]) == {"channel.opened.v1", "channel.created.v1"}


def test_a_step_says_where_it_leads() -> None:
    assert leads_to("channel.described.v1", STEPS["channel.described.v1"]) == (
        "channel.described.v2",
    )
    assert leads_to("channel.renamed.v1", STEPS["channel.renamed.v1"]) == ("channel.described.v1",)


def test_a_chain_that_leads_back_to_itself_is_found_out() -> None:
    circle = EventRegistry(
        [ChannelOpened], {"a.b.v1": Renamed("a.c.v1"), "a.c.v1": Renamed("a.b.v1")}
    )
    with pytest.raises(UndecodableRecord, match="without end"):
        decode(record_of(OPENED, ce_type=b"a.b.v1"), KEYS, circle)


def test_a_name_that_leads_nowhere_is_unknown() -> None:
    lost = EventRegistry([ChannelOpened], {"channel.renamed.v1": Renamed("channel.lost.v1")})
    with pytest.raises(UnknownEventType, match=r"channel\.lost\.v1"):
        decode(record_of(OPENED, ce_type=b"channel.renamed.v1"), KEYS, lost)


def test_a_step_that_chokes_quotes_nobody() -> None:
    def choke(data: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(f"cannot lift {data}")

    registry = EventRegistry([ChannelOpened], {"channel.x.v1": Renamed("channel.opened.v1", choke)})
    record = record_of(OPENED, ce_type=b"channel.x.v1")
    record.value = orjson.dumps({**PLACE, "title": "My secret"})
    with pytest.raises(UndecodableRecord) as raised:
        decode(record, KEYS, registry)
    assert "secret" not in str(raised.value)
