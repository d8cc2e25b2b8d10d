"""Whether a record is what the published contract says: schema of the body, headers, topic."""

from __future__ import annotations

from functools import cache

import orjson
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from events.base import Event
from events.codec import LogRecord, decode_body, decode_events
from events.errors import LogError
from events.outcomes import DOMAIN as OUTCOMES
from events.privacy import KeyRing
from events.registry import REGISTRY
from infra.log_tools.names import NAMES


def problem(record: LogRecord, stored_name: str, keys: KeyRing) -> str | None:
    """Return how a record breaks the contract, or None.

    A body of the current version that the event's class takes without any conversion keeps its
    schema, which is made from that class; whatever else is judged by the schema itself, and must
    be readable besides.
    """
    home = NAMES.homes.get(stored_name)
    if home is None:
        return f"no release ever wrote '{stored_name}'"
    kind, _, domain = record.source.topic.partition(".")
    if home != (OUTCOMES if kind == OUTCOMES else domain):
        return f"{stored_name} belongs to {home}"
    event_type = REGISTRY.current(stored_name)
    if event_type is not None and is_exact(event_type, record.value):
        return None
    try:
        return _broken_schema(record, stored_name) or _unreadable(record, keys)
    except LogError as error:
        return f"{error.code}: {error.message}"


@cache
def _schema(stored_name: str) -> Draft202012Validator:
    return Draft202012Validator(orjson.loads(NAMES.schema_path(stored_name).read_bytes()))


def _broken_schema(record: LogRecord, stored_name: str) -> str | None:
    for error in _schema(stored_name).iter_errors(decode_body(record.value)):
        # Its message would quote what stands there, which may be personal.
        rule = f"{error.validator}: {orjson.dumps(error.validator_value).decode()[:200]}"
        return f"{stored_name} breaks its schema at {error.json_path}, which asks for {rule}"
    return None


def _unreadable(record: LogRecord, keys: KeyRing) -> str | None:
    """Raise ``LogError`` where the record cannot be read."""
    decode_events(record, keys)
    return None


def is_exact(event_type: type[Event], body: bytes) -> bool:
    """Tell whether the class takes a body as it stands, each value of its own JSON type."""
    try:
        event_type.__pydantic_validator__.validate_json(body, strict=True)
    except ValidationError:
        return False
    return True
