"""Commands and their outcomes as Kafka records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidTag
from pydantic import TypeAdapter, ValidationError

from events import clock
from events.base import Command, Id, Metadata
from events.codec import (
    PERSONS_HEADER,
    Headers,
    LogRecord,
    decode_body,
    encode_body,
    event_headers,
)
from events.errors import UndecodableRecord
from events.outcomes import CommandDecided
from events.privacy import KeyRing, decrypt, persons
from schemas.catalogue import REPLY_PARTITIONS

_ID: TypeAdapter[str] = TypeAdapter(Id)


@dataclass(slots=True)
class CommandEnvelope:
    """A command on its way to the one who decides it; nobody changes it.

    ``fingerprint`` tells one request from another that carries the same idempotency key; it is
    empty where the command's id cannot come twice. ``reply_to`` is the partition of the reply
    topic that the waiting API process reads, or None when nobody waits.
    """

    command: Command
    command_id: str
    time: datetime
    correlation_id: str
    causation_id: str
    fingerprint: str = ""
    actor_id: str | None = None
    reply_to: int | None = None
    traceparent: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the same command id can come again, so that its outcome must be remembered."""
        return bool(self.fingerprint)


def command_record(envelope: CommandEnvelope, keys: KeyRing) -> tuple[bytes, Headers]:
    """Return body and headers of a command's record."""
    headers = [
        ("content-type", b"application/json"),
        ("command_id", envelope.command_id.encode()),
        ("command_type", envelope.command.stored_name().encode()),
        ("time", clock.to_text(envelope.time).encode()),
        ("correlation_id", envelope.correlation_id.encode()),
        ("causation_id", envelope.causation_id.encode()),
    ]
    optional = {
        "fingerprint": envelope.fingerprint,
        "actor_id": envelope.actor_id,
        "reply_to": None if envelope.reply_to is None else str(envelope.reply_to),
        "traceparent": envelope.traceparent,
        PERSONS_HEADER: ",".join(sorted(persons(envelope.command))),
    }
    headers.extend((name, value.encode()) for name, value in optional.items() if value)
    return encode_body(envelope.command, keys), headers


def read_command(
    record: LogRecord, types: Mapping[str, type[Command]], keys: KeyRing
) -> CommandEnvelope:
    """Return the command in a record.

    Raises:
        UndecodableRecord: it is none, or of a type that this release does not know.
    """
    headers = record.headers
    fingerprint, actor_id = headers.get("fingerprint"), headers.get("actor_id")
    reply_to, traceparent = headers.get("reply_to"), headers.get("traceparent")
    try:
        command_type = types[headers["command_type"].decode()]
        data = decode_body(record.value)
        decrypt(command_type, data, keys)
        return CommandEnvelope(
            command=command_type.model_validate(data),
            command_id=_ID.validate_python(headers["command_id"].decode()),
            time=_moment(headers["time"].decode()),
            correlation_id=headers["correlation_id"].decode(),
            causation_id=headers["causation_id"].decode(),
            fingerprint="" if fingerprint is None else fingerprint.decode(),
            actor_id=None if actor_id is None else _ID.validate_python(actor_id.decode()),
            reply_to=None if reply_to is None else _reply_partition(reply_to.decode()),
            traceparent=None if traceparent is None else traceparent.decode(),
        )
    except (KeyError, ValueError, ValidationError, InvalidTag) as error:
        raise UndecodableRecord(f"the record is not a command: {error!r}") from error


def _moment(text: str) -> datetime:
    moment = clock.from_text(text)
    if moment.tzinfo is None:
        raise ValueError("the time names no zone")
    return moment


def _reply_partition(text: str) -> int:
    """Return the partition; one that does not exist would fail the whole transaction."""
    partition = int(text)
    if not 0 <= partition < REPLY_PARTITIONS:
        raise ValueError(f"the reply topic has no partition {partition}")
    return partition


def outcome_record(outcome: CommandDecided) -> tuple[bytes, Headers]:
    """Return body and headers of an outcome's record."""
    metadata = Metadata(
        event_id=clock.id_from(outcome.command_id, "outcome"),
        stored_name=CommandDecided.stored_name(),
        stream=f"command-{outcome.command_id}",
        stream_version=1,
        time=outcome.time,
        command_id=outcome.command_id,
        correlation_id=outcome.command_id,
        causation_id=outcome.command_id,
        actor_id=outcome.actor_id,
    )
    return outcome.model_dump_json().encode(), event_headers(outcome, metadata)


def read_outcome(value: bytes) -> CommandDecided:
    """Return the outcome in a record's body.

    Raises:
        UndecodableRecord: it is none.
    """
    try:
        return CommandDecided.model_validate_json(value)
    except ValidationError as error:
        raise UndecodableRecord(f"the record is not an outcome: {error}") from error
