"""Commands and outcomes as Kafka records and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commands.envelope import (
    CommandEnvelope,
    command_record,
    outcome_record,
    read_command,
    read_outcome,
)
from commands.follows import FollowUser
from commands.router import ROUTER
from events.base import Command, TopicPartition
from events.codec import Headers, LogRecord, decode
from events.errors import Conflict, ErrorKind, FieldError, UndecodableRecord
from events.outcomes import CommandDecided, Position, Refusal
from tests.unit.commands.test_comments import POST
from tests.unit.commands.test_videos import REQUEST, create
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, COMMAND, NOW, VIDEO

KEYS = MemoryKeyRing.loaded(ADA, BEN)
FOLLOW = FollowUser(follower_id=ADA, creator_id=BEN)


def envelope_of(command: Command) -> CommandEnvelope:
    return CommandEnvelope(
        command=command,
        command_id=COMMAND,
        time=NOW,
        correlation_id="request",
        causation_id=COMMAND,
        fingerprint="abc",
        actor_id=ADA,
        reply_to=15,
        traceparent="00-trace-span-01",
    )


def as_record(command: Command, body: bytes, headers: Headers) -> LogRecord:
    source = TopicPartition(f"commands.{command.domain}", 0)
    return LogRecord(source, 0, command.key(), body, dict(headers), 0)


@pytest.mark.parametrize("command", [FOLLOW, POST, REQUEST, create()], ids=lambda c: c.name)
def test_a_command_comes_back_as_it_went(command: Command) -> None:
    envelope = envelope_of(command)
    record = as_record(command, *command_record(envelope, KEYS))
    assert read_command(record, ROUTER.command_types, KEYS) == envelope


def test_a_command_that_nobody_waits_for_and_that_comes_once() -> None:
    envelope = replace(
        envelope_of(FOLLOW), fingerprint="", actor_id=None, reply_to=None, traceparent=None
    )
    record = as_record(FOLLOW, *command_record(envelope, KEYS))
    assert not {"fingerprint", "actor_id", "reply_to", "traceparent"} & set(record.headers)
    assert read_command(record, ROUTER.command_types, KEYS) == envelope
    assert not envelope.repeatable
    assert envelope_of(FOLLOW).repeatable


def test_personal_data_of_a_command_is_encrypted() -> None:
    body, headers = command_record(envelope_of(POST), KEYS)
    assert b"Fine light" not in body
    assert ("persons", ADA.encode()) in headers


def test_a_field_that_a_command_does_not_know_is_refused() -> None:
    body, headers = command_record(envelope_of(FOLLOW), KEYS)
    record = as_record(FOLLOW, body[:-1] + b', "notify": true}', headers)
    with pytest.raises(UndecodableRecord, match="notify"):
        read_command(record, ROUTER.command_types, KEYS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("command_id", COMMAND.upper()),
        ("command_id", "1"),
        ("actor_id", "ada"),
        ("time", "2026-03-01T10:30:00"),
        ("time", "yesterday"),
        ("reply_to", "100000"),
    ],
)
def test_a_header_that_cannot_be_is_refused(name: str, text: str) -> None:
    """It must end among the dead letters: whoever decided on it would fail, again and again."""
    body, headers = command_record(envelope_of(FOLLOW), KEYS)
    changed = {**dict(headers), name: text.encode()}
    record = as_record(FOLLOW, body, [*changed.items()])
    with pytest.raises(UndecodableRecord, match="not a command"):
        read_command(record, ROUTER.command_types, KEYS)


def outcome(refusal: Refusal | None) -> CommandDecided:
    return CommandDecided(
        command_id=COMMAND,
        command_type="user.follow.v1",
        fingerprint="abc",
        stream=f"follow-{ADA}:{BEN}",
        stream_version=4,
        event_count=0,
        answer={"following": True},
        refusal=refusal,
        position=Position(domain="follows", partition=1, offset=17),
        time=NOW,
        actor_id=ADA,
    )


@pytest.mark.parametrize(
    "refusal",
    [None, Refusal.of(Conflict("Taken", code="TAKEN", details=[FieldError("email", "is taken")]))],
    ids=["accepted", "refused"],
)
def test_an_outcome_comes_back_as_it_went(refusal: Refusal | None) -> None:
    body, headers = outcome_record(outcome(refusal))
    assert read_outcome(body) == outcome(refusal)
    record = LogRecord(TopicPartition("outcomes.follows", 1), 3, ADA, body, dict(headers), 0)
    recorded = decode(record, KEYS)
    assert recorded.event == outcome(refusal)
    assert recorded.metadata.stream == f"command-{COMMAND}"


def test_a_refusal_is_the_error_again() -> None:
    error = Refusal.of(Conflict("Taken", code="TAKEN", details=[FieldError("email", "x")])).error()
    assert isinstance(error, Conflict)
    assert (error.code, error.message) == ("TAKEN", "Taken")
    assert error.details == (FieldError("email", "x"),)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_refusal_becomes_an_error(kind: ErrorKind) -> None:
    error = Refusal(kind=kind, code="CODE", message="No").error()
    assert error.code == "CODE"
    if kind not in {ErrorKind.UNAVAILABLE, ErrorKind.INTERNAL}:
        assert error.kind is kind


@pytest.mark.parametrize("body", [b"", b"{}", b"[]"])
def test_what_is_no_outcome_is_refused(body: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        read_outcome(body)


def test_each_event_and_command_has_one_aggregate() -> None:
    assert ROUTER.for_command(FOLLOW).name == "follow"
    assert ROUTER.command_types["user.follow.v1"] is FollowUser
    assert POST.video_id == VIDEO
    assert ROUTER.for_command(POST).name == "comment"
