"""People and things that tests speak of, and how a fact about them looks in the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from events import clock
from events.base import Event, Metadata, Recorded, TopicPartition
from events.codec import LogRecord, encode_body, event_headers
from events.privacy import KeyRing

ADA = clock.id_from("person", "ada")
BEN = clock.id_from("person", "ben")
CLEO = clock.id_from("person", "cleo")
VIDEO = clock.id_from("video", "harbour")
OTHER_VIDEO = clock.id_from("video", "mountain")
COMMENT = clock.id_from("comment", "first")
REPLY = clock.id_from("comment", "reply")
SESSION = clock.id_from("session", "ada's phone")
COMMAND = clock.id_from("command", "one")

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def source_of(event: Event, partition: int = 0) -> TopicPartition:
    """Return a partition in which the event may stand."""
    return TopicPartition(f"events.{event.domain}", partition)


def metadata_of(event: Event, number: int = 1, at: datetime = NOW) -> Metadata:
    """Return what the log knows of the event that is ``number`` of its stream."""
    command_id = clock.id_from("command", event.stored_name(), str(number))
    return Metadata(
        event_id=clock.id_from(command_id, "event"),
        stored_name=event.stored_name(),
        stream=f"{event.domain}-test",
        stream_version=number,
        time=at,
        command_id=command_id,
        correlation_id=command_id,
        causation_id=command_id,
        actor_id=ADA,
    )


def recorded(event: Event, offset: int = 0, at: datetime = NOW) -> Recorded:
    """Return the event as it stands in the log."""
    return Recorded(event, metadata_of(event, offset + 1, at), source_of(event), offset, VIDEO)


def log_record(
    event: Event, keys: KeyRing, *, offset: int = 0, source: TopicPartition | None = None
) -> LogRecord:
    """Return the event as a record; the keys of its persons must be loaded."""
    metadata = metadata_of(event, offset + 1)
    return LogRecord(
        source=source or source_of(event),
        offset=offset,
        key=VIDEO,
        value=encode_body(event, keys),
        headers=dict(event_headers(event, metadata)),
        timestamp_ms=int(NOW.timestamp() * 1000),
    )
