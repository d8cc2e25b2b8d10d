"""Whatever an event holds, the log gives it back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.envelope import CommandEnvelope, command_record, read_command
from commands.router import ROUTER
from events import clock
from events.base import Command, Event, TopicPartition
from events.codec import LogRecord, decode
from events.privacy import personal_fields, persons
from events.registry import EVENT_TYPES
from tests.property.messages import PEOPLE, messages
from tests.property.profile import examples
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import COMMAND, NOW, log_record, metadata_of


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda each: each.stored_name())
def test_an_event_comes_back_as_it_went(event_type: type[Event]) -> None:
    keys = MemoryKeyRing.loaded(*PEOPLE)

    @examples(25)
    @given(messages(event_type), st.integers(0, 2**40))
    def comes_back(event: Event, offset: int) -> None:
        record = log_record(event, keys, offset=offset)
        recorded = decode(record, keys)
        assert recorded.event == event
        assert recorded.metadata == metadata_of(event, offset + 1)
        assert set(record.persons()) == persons(event)

    comes_back()


PERSONAL = [event_type for event_type in EVENT_TYPES if personal_fields(event_type)]


@pytest.mark.parametrize("event_type", PERSONAL, ids=lambda each: each.stored_name())
def test_without_the_key_only_the_personal_fields_are_gone(event_type: type[Event]) -> None:
    keys = MemoryKeyRing.loaded(*PEOPLE)

    @examples(15)
    @given(messages(event_type))
    def is_erased(event: Event) -> None:
        record = log_record(event, keys)
        left = decode(record, MemoryKeyRing.loaded_without(*PEOPLE)).event
        erased = {
            name: f"erased:{getattr(event, person)}"
            for name, person in personal_fields(event_type).items()
            if getattr(event, name) is not None
        }
        assert left == event.model_copy(update=erased)

    is_erased()


@pytest.mark.parametrize("command_type", ROUTER.command_types.values(), ids=lambda each: each.name)
def test_a_command_comes_back_as_it_went(command_type: type[Command]) -> None:
    keys = MemoryKeyRing.loaded(*PEOPLE)

    @examples(15)
    @given(messages(command_type))
    def comes_back(command: Command) -> None:
        envelope = CommandEnvelope(command, COMMAND, NOW, "correlation", COMMAND, "fingerprint")
        body, headers = command_record(envelope, keys)
        source = TopicPartition(f"commands.{command.domain}", 0)
        record = LogRecord(source, 0, command.key(), body, dict(headers), 0)
        assert read_command(record, ROUTER.command_types, keys) == envelope

    comes_back()


ZONES = st.timedeltas(timedelta(hours=-12), timedelta(hours=14)).map(timezone)


@examples(100)
@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=ZONES))
def test_a_moment_comes_back_from_its_text(moment: datetime) -> None:
    assert clock.from_text(clock.to_text(moment)) == moment
