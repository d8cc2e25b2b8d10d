"""The contract of the log as an AsyncAPI 3.0 document, made from events and catalogue.

A channel is a topic, a message an event in its current version or, so that the whole log can be
read, in a former one. Schemas stand in it without references: those of JSON Schema files would
lead somewhere else within this document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from events.outcomes import DOMAIN as OUTCOMES
from schemas.catalogue import DOMAINS, FOR_EVER_MS, Domain
from schemas.publish import ASYNCAPI, Contract, read_file, schema_of

SPECIFICATION = "3.0.0"
_DEFS = "#/$defs/"
#: Words of a JSON Schema file that mean nothing, or something else, within the document.
_DROPPED = frozenset({"$schema", "$id", "$defs"})
_TEXT = {"type": "string"}
_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "content-type": {**_TEXT, "const": "application/json"},
    "ce_specversion": {**_TEXT, "const": "1.0"},
    "ce_id": {**_TEXT, "description": "The event's id; deciding its command again makes the same"},
    "ce_type": {**_TEXT, "description": "The stored name with its version"},
    "ce_source": {**_TEXT, "const": "/streamhub"},
    "ce_subject": {**_TEXT, "description": "The stream"},
    "ce_time": {**_TEXT, "format": "date-time", "description": "When the command was issued, UTC"},
    "ce_dataschema": {**_TEXT, "description": "Path of the JSON Schema of the body"},
    "stream_version": {**_TEXT, "pattern": "^[1-9][0-9]*$", "description": "Counts in the stream"},
    "command_id": {**_TEXT, "description": "The command that led to it"},
    "correlation_id": {**_TEXT, "description": "The request that it all began with"},
    "causation_id": {**_TEXT, "description": "What directly led to it"},
    "actor_id": {**_TEXT, "description": "Who did it, where somebody did"},
    "traceparent": {**_TEXT, "description": "W3C trace context"},
    "persons": {**_TEXT, "description": "Whose keys the body needs, separated by commas"},
}
_OPTIONAL = frozenset({"actor_id", "traceparent", "persons"})


def document(contract: Contract | None = None, version: str = "1.0.0") -> dict[str, Any]:
    """Return the AsyncAPI document of a contract.

    Raises:
        UnreadableContract: a published schema or example is no JSON object.
    """
    contract = contract or Contract()
    messages = dict(_messages(contract))
    channels = dict(_channels(contract, messages))
    return {
        "asyncapi": SPECIFICATION,
        "info": {
            "title": "StreamHub's log",
            "version": version,
            "description": "Every event that StreamHub keeps, topic by topic. Records are JSON "
            "with CloudEvents 1.0 headers in Kafka binary mode, in the order of their key. A field "
            "marked `x-personal` is encrypted for the person whom the named field identifies; "
            "without the key it reads `erased:<person id>`.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            name: {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "summary": f"StreamHub appends to {name}",
            }
            for name in channels
        },
        "components": {
            "messages": messages,
            "messageTraits": {"record": {"headers": _headers()}},
        },
    }


def encoded(contract: Contract | None = None) -> bytes:
    """Return the document as it is published."""
    return orjson.dumps(document(contract), option=orjson.OPT_INDENT_2) + b"\n"


def check(contract: Contract | None = None) -> list[str]:
    """Return a sentence if the published document is not what the events say now."""
    contract = contract or Contract()
    path = contract.folder / ASYNCAPI
    if not path.exists():
        return [f"{ASYNCAPI}: is missing; run `streamhub schemas write`"]
    if path.read_bytes() != encoded(contract):
        return [f"{ASYNCAPI}: is outdated; run `streamhub schemas write`"]
    return []


def write(contract: Contract | None = None) -> list[Path]:
    """Write the document where it is missing or outdated; return its path if so."""
    contract = contract or Contract()
    if not check(contract):
        return []
    path = contract.folder / ASYNCAPI
    path.write_bytes(encoded(contract))
    return [path]


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(_HEADERS),
        "required": [name for name in _HEADERS if name not in _OPTIONAL],
    }


def _messages(contract: Contract) -> Iterator[tuple[str, dict[str, Any]]]:
    for event_type, version in contract.versions():
        name = f"{event_type.name}.v{version}"
        schema = contract.schema_path(event_type, version)
        if version == event_type.version:
            yield name, _message(contract, name, event_type.domain, schema_of(event_type))
        elif schema.exists():
            yield name, _message(contract, name, event_type.domain, read_file(schema))
    for name, domain in contract.retired().items():
        schema = contract.retired_schema(name, domain)
        if schema.exists():
            yield name, _message(contract, name, domain, read_file(schema))


def _message(
    contract: Contract, name: str, domain: str, schema: Mapping[str, Any]
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name,
        "title": schema.get("title", name),
        "summary": schema.get("description", ""),
        "traits": [{"$ref": "#/components/messageTraits/record"}],
        "payload": inlined(schema),
        "bindings": {"kafka": {"key": _TEXT, "bindingVersion": "0.5.0"}},
    }
    example = contract.retired_example(name, domain)
    if example.exists():
        made["examples"] = [{"name": name, "payload": read_file(example)}]
    if schema.get("deprecated"):
        made["x-deprecated"] = schema.get("x-deprecated", True)
    if name not in {event_type.stored_name() for event_type in contract.types}:
        made["x-former"] = True
    return made


def _channels(
    contract: Contract, messages: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    domains: dict[str, str] = {
        f"{each.name}.v{version}": each.domain for each, version in contract.versions()
    }
    domains |= contract.retired()
    outcomes = [name for name in messages if domains[name] == OUTCOMES]
    for domain in DOMAINS:
        events = [name for name in messages if domains[name] == domain.name]
        if events:
            yield domain.events, _channel(domain, domain.events, domain.description, events)
        if outcomes:
            told = f"What became of each command of {domain.name}"
            yield domain.outcomes, _channel(domain, domain.outcomes, told, outcomes)


def _channel(domain: Domain, topic: str, description: str, names: list[str]) -> dict[str, Any]:
    return {
        "address": topic,
        "title": topic,
        "description": f"{description}. Key: {domain.key}. Owner: {domain.owner}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": FOR_EVER_MS,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with its references replaced by what they refer to."""
    definitions = schema.get("$defs", {})
    plain: dict[str, Any] = _plain(
        {word: value for word, value in schema.items() if word not in _DROPPED}, definitions
    )
    return plain


def _plain(node: Any, definitions: Mapping[str, Any]) -> Any:
    match node:
        case {"$ref": str(reference), **rest} if reference.startswith(_DEFS):
            target = definitions[reference.removeprefix(_DEFS)]
            return _plain({**target, **rest}, definitions)
        case Mapping():
            return {key: _plain(value, definitions) for key, value in node.items()}
        case list():
            return [_plain(each, definitions) for each in node]
        case _:
            return node
