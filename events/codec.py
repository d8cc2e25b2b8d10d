"""Events and Kafka records: JSON body, CloudEvents 1.0 Kafka binary-mode headers beside it.

The format is the CloudEvents Kafka protocol binding, version 1.0.2, binary content mode: each
attribute is a header with the prefix ``ce_``; StreamHub's own attributes stand beside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, cast

import orjson
from cryptography.exceptions import InvalidTag
from pydantic import ValidationError
from pydantic_core import CoreConfig, CoreSchema, SchemaValidator

from events import clock
from events.base import Event, Message, Metadata, Recorded, TopicPartition
from events.errors import UndecodableRecord
from events.privacy import PREFIX, KeyRing, decrypt, encrypt, personal_fields, persons
from events.registry import REGISTRY, EventRegistry

SOURCE = b"/streamhub"
#: The header that lists whose keys a body needs, separated by commas.
PERSONS_HEADER = "persons"
_ENCRYPTED_MARK = PREFIX.encode()
_PERSON_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

Headers = list[tuple[str, bytes]]


@dataclass(slots=True)
class LogRecord:
    """A record as it came from Kafka; ``timestamp_ms`` is the broker's or the producer's.

    Nobody changes what came. It is not frozen because one is made for every record that is read,
    and a frozen one takes three times as long to make. ``events`` is what it was decoded to, once
    it was, for others who go over the same records; nothing in it leads back to the record, so
    that none has to wait for the garbage collector.
    """

    source: TopicPartition
    offset: int
    key: str
    value: bytes
    headers: Mapping[str, bytes]
    timestamp_ms: int
    events: Sequence[Event] | None = field(default=None, repr=False, compare=False)

    @property
    def stored_name(self) -> bytes | None:
        """The name of the event's type and its version, as they were stored."""
        return self.headers.get("ce_type")

    def header(self, name: str) -> bytes | None:
        """Return one header, None where it is missing."""
        return self.headers.get(name)

    def persons(self) -> list[str]:
        """Return whose keys are needed to read the body; what is no id is passed over."""
        listed = self.headers.get(PERSONS_HEADER)
        return _PERSON_ID.findall(listed.decode("utf-8", "replace")) if listed else []


def encode_body(message: Message, keys: KeyRing) -> bytes:
    """Return the JSON body with its personal fields encrypted."""
    whose = persons(message)
    if not whose:
        return message.model_dump_json().encode()
    data = message.model_dump(mode="json")
    encrypt(message, data, keys)
    return orjson.dumps(data)


def event_headers(event: Event, metadata: Metadata) -> Headers:
    """Return the headers of an event's record."""
    headers = [
        *_type_headers(metadata.stored_name),
        ("ce_id", metadata.event_id.encode()),
        ("ce_subject", metadata.stream.encode()),
        ("ce_time", clock.to_text(metadata.time).encode()),
        ("stream_version", str(metadata.stream_version).encode()),
        ("command_id", metadata.command_id.encode()),
        ("correlation_id", metadata.correlation_id.encode()),
        ("causation_id", metadata.causation_id.encode()),
    ]
    if metadata.actor_id:
        headers.append(("actor_id", metadata.actor_id.encode()))
    if metadata.traceparent:
        headers.append(("traceparent", metadata.traceparent.encode()))
    if whose := persons(event):
        headers.append((PERSONS_HEADER, ",".join(sorted(whose)).encode()))
    return headers


@cache
def _type_headers(stored_name: str) -> Headers:
    """Return what all events of a type have in common, the type itself first: all look for it."""
    name = stored_name.encode()
    body = [("content-type", b"application/json"), ("ce_dataschema", b"/schemas/" + name)]
    return [("ce_type", name), ("ce_specversion", b"1.0"), ("ce_source", SOURCE), *body]


def decode_body(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body.

    Raises:
        UndecodableRecord: it is not one.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UndecodableRecord(f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UndecodableRecord("the body is not a JSON object")
    return data


def _text(headers: Mapping[str, bytes], name: str) -> str:
    try:
        return headers[name].decode()
    except KeyError:
        raise UndecodableRecord(f"the header '{name}' is missing") from None
    except UnicodeDecodeError:
        raise UndecodableRecord(f"the header '{name}' is not UTF-8") from None


@dataclass(frozen=True, slots=True)
class _Attribute:
    """A header that holds a field of the metadata, and how it is read."""

    header: str
    parse: Callable[[bytes], Any] = bytes.decode
    is_optional: bool = False


#: Field of ``Metadata`` -> its header.
_ATTRIBUTES: Mapping[str, _Attribute] = {
    "event_id": _Attribute("ce_id"),
    "stored_name": _Attribute("ce_type"),
    "stream": _Attribute("ce_subject"),
    "stream_version": _Attribute("stream_version", int),
    "time": _Attribute("ce_time", lambda value: clock.from_text(value.decode())),
    "command_id": _Attribute("command_id"),
    "correlation_id": _Attribute("correlation_id"),
    "causation_id": _Attribute("causation_id"),
    "actor_id": _Attribute("actor_id", is_optional=True),
    "traceparent": _Attribute("traceparent", is_optional=True),
}


def _attribute(attribute: _Attribute, value: bytes | None) -> Any:
    if value is None:
        if attribute.is_optional:
            return None
        raise UndecodableRecord(f"the header '{attribute.header}' is missing")
    try:
        return attribute.parse(value)
    except ValueError as error:
        raise UndecodableRecord(f"the header '{attribute.header}' is malformed: {error}") from error


def decode_metadata(headers: Mapping[str, bytes]) -> Metadata:
    """Return the metadata in a record's headers.

    Raises:
        UndecodableRecord: a header is missing or malformed.
    """
    values = {f: _attribute(each, headers.get(each.header)) for f, each in _ATTRIBUTES.items()}
    return Metadata(**values)


class _LazyRecorded(Recorded):
    """An event out of a record, of which it asks for everything else when it is asked itself."""

    __slots__ = ("_metadata", "_record")

    def __init__(self, event: Event, record: LogRecord) -> None:
        self.event = event
        self._record = record
        self._metadata: Metadata | None = None

    @property
    def metadata(self) -> Metadata:  # type: ignore[override]
        if self._metadata is None:
            self._metadata = _LazyMetadata(self._record)
        return self._metadata

    @property
    def source(self) -> TopicPartition:  # type: ignore[override]
        return self._record.source

    @property
    def offset(self) -> int:  # type: ignore[override]
        return self._record.offset

    @property
    def key(self) -> str:  # type: ignore[override]
        return self._record.key


class _LazyMetadata(Metadata):
    """Metadata whose fields are decoded when they are first asked for.

    A reader of many events asks for few of them. What is malformed is found out only then, by
    ``UndecodableRecord``.
    """

    __slots__ = ("_record",)
    _record: LogRecord

    def __init__(self, record: LogRecord) -> None:
        self._record = record

    def __getattr__(self, field: str) -> Any:
        """Fill the field in; Python asks only while it is empty."""
        attribute = _ATTRIBUTES.get(field)
        if attribute is None:
            raise AttributeError(field)
        value = _attribute(attribute, self._record.header(attribute.header))
        setattr(self, field, value)
        return value


def decode_event(record: LogRecord, keys: KeyRing, registry: EventRegistry = REGISTRY) -> Event:
    """Return the event in a record: decrypted, lifted to its current version, validated.

    Raises:
        UndecodableRecord: body or headers are not what they claim, or the record is not one event
            any more: read it by ``decode_events``.
        UnknownEventType: the registry does not know the stored name.
    """
    stored_name = _text(record.headers, "ce_type")
    data = decode_body(record.value)
    event_type = registry.current(stored_name)
    if event_type is not None:
        return _event(event_type, data, record, keys)
    lifted = registry.lift(stored_name, data)
    if len(lifted) != 1:
        raise UndecodableRecord(f"the {stored_name} has become {len(lifted)} events")
    return _event(*lifted[0], record, keys)


def decode_events(
    record: LogRecord, keys: KeyRing, registry: EventRegistry = REGISTRY
) -> list[Event]:
    """Return the events that a record holds today: one, unless its event was split since.

    Raises:
        UndecodableRecord: body or headers are not what they claim.
        UnknownEventType: the registry does not know the stored name.
    """
    event = _read_at_once(record, registry)
    return _decode_at_length(record, keys, registry) if event is None else [event]


def _read_at_once(record: LogRecord, registry: EventRegistry) -> Event | None:
    """Return the event of a record that needs neither a key nor an upcaster, as most do."""
    stored_name = record.stored_name
    reading = None if stored_name is None else _current_reading(registry, stored_name)
    if reading is None or (reading.is_personal and _ENCRYPTED_MARK in record.value):
        return None
    try:
        return reading.from_json(record.value)
    except ValidationError:
        # The long way says what is wrong.
        return None


def may_be_personal(stored_name: bytes | None, registry: EventRegistry = REGISTRY) -> bool:
    """Say whether keys of persons may be needed to read records of that name."""
    reading = None if stored_name is None else _current_reading(registry, stored_name)
    return reading is None or reading.is_personal


def _decode_at_length(record: LogRecord, keys: KeyRing, registry: EventRegistry) -> list[Event]:
    stored_name = _text(record.headers, "ce_type")
    data = decode_body(record.value)
    event_type = registry.current(stored_name)
    lifted = [(event_type, data)] if event_type else registry.lift(stored_name, data)
    return [_event(each, body, record, keys) for each, body in lifted]


def _event(
    event_type: type[Event], data: dict[str, Any], record: LogRecord, keys: KeyRing
) -> Event:
    try:
        reading = _reading(event_type)
        if reading.is_personal and _ENCRYPTED_MARK in record.value:
            decrypt(event_type, data, keys)
        return reading.from_data(data)
    except (KeyError, ValidationError, InvalidTag, ValueError) as error:
        name = event_type.stored_name()
        raise UndecodableRecord(f"the body is not a {name}: {error!r}") from error


@dataclass(frozen=True, slots=True)
class _Reading:
    """What makes an event out of its body, and whether this may hold ciphertext."""

    from_data: Callable[[Any], Event]
    from_json: Callable[[bytes], Event]
    is_personal: bool


@cache
def _reading(event_type: type[Event]) -> _Reading:
    """Return how bodies of a type are read.

    Texts were matched against their patterns when the event was written; doing that again for
    every reader took a third of the whole decoding. Their types are looked at nevertheless.
    """
    schema = cast("CoreSchema", _without_patterns(event_type.__pydantic_core_schema__))
    # Most values are ids that hardly come again: looking for each among those that came before
    # took a fifth of the time.
    config = CoreConfig(hide_input_in_errors=True, cache_strings="keys")
    validator = SchemaValidator(schema, config)
    is_personal = bool(personal_fields(event_type))
    return _Reading(validator.validate_python, validator.validate_json, is_personal)


@lru_cache(4096)
def _current_reading(registry: EventRegistry, stored_name: bytes) -> _Reading | None:
    """Return how records of that name are read, where they are what the class is today."""
    event_type = registry.current(stored_name.decode("utf-8", "replace"))
    return None if event_type is None else _reading(event_type)


def _without_patterns(schema: Any) -> Any:
    if isinstance(schema, dict):
        is_text = schema.get("type") == "str"
        kept = {key: part for key, part in schema.items() if not (is_text and key == "pattern")}
        return {key: _without_patterns(part) for key, part in kept.items()}
    if isinstance(schema, list | tuple):
        return type(schema)(_without_patterns(part) for part in schema)
    return schema


def decode(record: LogRecord, keys: KeyRing, registry: EventRegistry = REGISTRY) -> Recorded:
    """Return the event and its metadata; raises as ``decode_event`` and ``decode_metadata``."""
    return Recorded(
        event=decode_event(record, keys, registry),
        metadata=decode_metadata(record.headers),
        source=record.source,
        offset=record.offset,
        key=record.key,
    )


def decode_all(
    record: LogRecord, keys: KeyRing, registry: EventRegistry = REGISTRY
) -> list[Recorded]:
    """Return the events that a record holds today, each with metadata of its own.

    The first keeps the record's event id, the others get ids made from it: the same each time.
    Raises as ``decode_events`` and ``decode_metadata``.
    """
    return _with_metadata(decode_events(record, keys, registry), record)


def decode_all_lazily(
    record: LogRecord, keys: KeyRing, registry: EventRegistry = REGISTRY
) -> list[Recorded]:
    """Return what ``decode_all`` does, with the metadata of a single event read when asked for.

    The record keeps its events, and is not decoded a second time. Raises as ``decode_events``, and
    where a record has become several as ``decode_metadata``.
    """
    events = record.events
    if events is None:
        events = record.events = decode_events(record, keys, registry)
    if len(events) != 1:
        return _with_metadata(events, record)
    return [_LazyRecorded(events[0], record)]


def _with_metadata(events: Sequence[Event], record: LogRecord) -> list[Recorded]:
    metadata = decode_metadata(record.headers)
    return [
        Recorded(event, part_of(metadata, number), record.source, record.offset, record.key)
        for number, event in enumerate(events)
    ]


def part_of(metadata: Metadata, number: int) -> Metadata:
    """Return the metadata of one of the events that a record has become, counted from 0."""
    if number == 0:
        return metadata
    return replace(metadata, event_id=clock.id_from(metadata.event_id, "part", str(number)))


def headers_of(pairs: Sequence[tuple[str, bytes | None]] | None) -> dict[str, bytes]:
    """Return a client library's header pairs as a mapping; a null value counts as absent."""
    headers = dict(pairs or ())
    if None in headers.values():
        return {name: value for name, value in headers.items() if value is not None}
    return cast("dict[str, bytes]", headers)
