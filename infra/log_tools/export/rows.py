"""An event as a row: what the log knows of it, and the fields of its class.

Rows have the same columns in every format. Columns of the log begin with ``meta_``, so that they
never meet a field of an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from events.base import Event, Recorded
from events.codec import LogRecord, decode_all
from events.errors import LogError
from events.registry import REGISTRY
from infra.log_tools.keys import Keys
from infra.log_tools.selection import Filters
from infra.log_tools.showing import appended_at

#: The folder of records that cannot be decoded: an export loses nothing.
UNDECODABLE = "undecodable"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table ``type`` (a name without version), on the UTC day of its event's time."""

    type: str
    day: str
    values: Mapping[str, Any]


def event_types() -> Mapping[str, type[Event]]:
    """Return name without version -> class, of every event."""
    return {event_type.name: event_type for event_type in REGISTRY.types()}


def rows_of(record: LogRecord, keys: Keys, filters: Filters) -> list[Row]:
    """Return the rows of a record: one an event, of those that are wanted.

    A record that cannot be decoded becomes a row of ``undecodable``.
    """
    try:
        parts = decode_all(record, keys.ring)
    except LogError as error:
        return [_undecodable(record, error)]
    place = _place(record)
    return [_row(part, place) for part in parts if filters.keeps(part)]


def _row(recorded: Recorded, place: Mapping[str, Any]) -> Row:
    metadata = recorded.metadata
    values = {
        **place,
        "meta_event_id": metadata.event_id,
        "meta_stored_name": metadata.stored_name,
        "meta_stream": metadata.stream,
        "meta_stream_version": metadata.stream_version,
        "meta_time": metadata.time,
        "meta_command_id": metadata.command_id,
        "meta_correlation_id": metadata.correlation_id,
        "meta_causation_id": metadata.causation_id,
        "meta_actor_id": metadata.actor_id,
        "meta_traceparent": metadata.traceparent,
        **event_values(recorded.event),
    }
    return Row(recorded.event.name, _day(metadata.time), values)


def event_values(event: Event) -> dict[str, Any]:
    """Return the fields of an event; an object without fixed fields is JSON text."""
    values = event.model_dump()
    return {name: _text_if_open(value, event, name) for name, value in values.items()}


def _text_if_open(value: Any, event: Event, name: str) -> Any:
    if isinstance(getattr(event, name), dict):
        return orjson.dumps(value).decode()
    return value


def _place(record: LogRecord) -> dict[str, Any]:
    return {
        "meta_topic": record.source.topic,
        "meta_partition": record.source.partition,
        "meta_offset": record.offset,
        "meta_key": record.key,
        "meta_appended_at": appended_at(record),
    }


def _undecodable(record: LogRecord, error: LogError) -> Row:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers.items()}
    values = {
        **_place(record),
        "reason": f"{error.code}: {error.message}",
        "headers": orjson.dumps(headers).decode(),
        "body": record.value.decode("utf-8", "replace"),
    }
    return Row(UNDECODABLE, _day(appended_at(record)), values)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
