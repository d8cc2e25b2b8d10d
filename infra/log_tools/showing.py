"""Records of the log as JSON objects and as lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from events import clock
from events.codec import LogRecord, decode_all
from events.errors import LogError
from infra.log_tools.keys import Keys

#: Name in the JSON -> header of the record.
_TEXTS: Mapping[str, str] = {
    "type": "ce_type",
    "id": "ce_id",
    "stream": "ce_subject",
    "time": "ce_time",
    "commandId": "command_id",
    "correlationId": "correlation_id",
    "causationId": "causation_id",
    "actorId": "actor_id",
    "traceparent": "traceparent",
}


def shown(records: Sequence[LogRecord], keys: Keys) -> Iterator[dict[str, Any]]:
    """Yield the events of records as JSON objects: one a record, or several where it was split.

    ``type`` is the stored name, ``event`` what it is called today, ``data`` the event lifted to
    that. A record that cannot be decoded, and one that has become nothing, has null in both; the
    former says why in ``error``: whoever looks at a log must see what is wrong with it.
    """
    keys.load({person for record in records for person in record.persons()})
    for record in records:
        yield from _shown(record, keys)


def _shown(record: LogRecord, keys: Keys) -> Iterator[dict[str, Any]]:
    nothing = {**facts(record), "event": None, "data": None}
    try:
        parts = decode_all(record, keys.ring)
    except LogError as error:
        yield {**nothing, "error": f"{error.code}: {error.message}"}
        return
    for part in parts:
        yield {
            **nothing,
            "id": part.metadata.event_id,
            "event": part.event.stored_name(),
            "data": part.event.model_dump(mode="json"),
        }
    if not parts:
        yield nothing


def facts(record: LogRecord) -> dict[str, Any]:
    """Return where a record stands and what its headers say; absent headers are null."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers.items()}
    version = headers.get("stream_version", "")
    return {
        "topic": record.source.topic,
        "partition": record.source.partition,
        "offset": record.offset,
        "key": record.key,
        "appendedAt": clock.to_text(appended_at(record)),
        **{name: headers.get(header) for name, header in _TEXTS.items()},
        "streamVersion": int(version) if version.isdecimal() else None,
    }


def appended_at(record: LogRecord) -> datetime:
    """Return when the record was appended, UTC."""
    return datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)


def json_line(view: Mapping[str, Any]) -> str:
    """Return a JSON object on one line."""
    return orjson.dumps(view).decode()


def pretty(view: Mapping[str, Any]) -> Iterable[str]:
    """Yield the lines that show a record to a person: what happened, then its data."""
    yield (
        f"{view['time'] or view['appendedAt']}  {view['type'] or '(no type)'}  "
        f"{view['topic']}-{view['partition']}@{view['offset']}"
    )
    yield (
        f"    stream {view['stream']} v{view['streamVersion']}  command {view['commandId']}"
        f"  actor {view['actorId'] or 'nobody'}"
    )
    yield f"    {view.get('error') or orjson.dumps(view['data']).decode()}"
