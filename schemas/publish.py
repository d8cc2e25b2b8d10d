"""The published contract of the log: a JSON Schema and an example of every event version ever.

``<domain>/<stored name>.schema.json`` describes the body of a record whose header
``ce_dataschema`` is ``/schemas/<stored name>``; ``<domain>/examples/<stored name>.json`` is such a
body with its personal fields in plain text, and ``<domain>/examples/record.json`` a whole record
as it stands in Kafka. A field marked ``x-personal`` is text of the person whom the named field
identifies: the log holds it encrypted, and readers without the key see ``erased:<person id>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ConfigDict, ValidationError

from events.base import Event, TopicPartition
from events.codec import LogRecord, decode_all, decode_body
from events.errors import LogError, StreamHubError
from events.privacy import personal_fields
from events.registry import EVENT_TYPES, UPCASTERS, EventRegistry
from events.upcasting import Renamed, Split, Step, leads_to, parse_stored_name
from schemas.compatibility import breaking_changes

FOLDER = Path(__file__).parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SUFFIX = ".schema.json"
#: What a person wants to read first in a schema.
_FIRST_WORDS: tuple[str, ...] = ("title", "description", "type")
_ID_HEADERS = ("ce_id", "ce_subject", "command_id", "correlation_id", "causation_id")
#: The example of a whole record that each domain has.
RECORD = "record.json"
#: The whole contract as one document, made from the rest.
ASYNCAPI = "asyncapi.json"


class IncompatibleSchema(StreamHubError):
    """A published schema would change in a way that breaks records or readers."""

    code = "INCOMPATIBLE_SCHEMA"


class UnreadableContract(StreamHubError):
    """A file of the contract is no JSON object."""

    code = "UNREADABLE_CONTRACT"


class RecordExample(BaseModel):
    """A whole record: where it stands, its key, its headers as text, its body."""

    model_config = ConfigDict(extra="forbid")

    topic: str
    key: str
    headers: dict[str, str]
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contract:
    """The events that exist and the folder in which they are published."""

    folder: Path = FOLDER
    types: tuple[type[Event], ...] = EVENT_TYPES
    upcasters: Mapping[str, Step] = field(default_factory=lambda: UPCASTERS)

    def schema_path(self, event_type: type[Event], version: int) -> Path:
        name = f"{event_type.name}.v{version}{_SUFFIX}"
        return self.folder / event_type.domain / name

    def example_path(self, event_type: type[Event], version: int) -> Path:
        name = f"{event_type.name}.v{version}.json"
        return self.folder / event_type.domain / "examples" / name

    def versions(self) -> Iterator[tuple[type[Event], int]]:
        """Yield every version of every event."""
        for event_type in self.types:
            for version in range(1, event_type.version + 1):
                yield event_type, version

    def retired(self) -> dict[str, str]:
        """Return the stored names of events that are called otherwise today -> their domain.

        They are the sources of renames and splits, and the versions that led to those.
        """
        domains = {f"{each.name}.v{version}": each.domain for each, version in self.versions()}
        retired: dict[str, str] = {}
        for name, step in self._from_the_end():
            target = next((t for t in leads_to(name, step) if t in {**domains, **retired}), None)
            if name not in domains and target is not None:
                retired[name] = {**domains, **retired}[target]
        return retired

    def _from_the_end(self) -> Iterator[tuple[str, Step]]:
        """Yield steps, those that lead to the names of today first, as often as chains are long."""
        steps = [
            (name, step)
            for name, step in self.upcasters.items()
            if isinstance(step, Renamed | Split) or self._led_on(name)
        ]
        for _ in steps:
            yield from steps

    def _led_on(self, stored_name: str) -> bool:
        """Say whether a later version under the same name was renamed or split."""
        name, version = parse_stored_name(stored_name)
        later = (
            (parse_stored_name(other), step)
            for other, step in self.upcasters.items()
            if isinstance(step, Renamed | Split)
        )
        return any(other == name and v > version for (other, v), _ in later)

    def retired_schema(self, stored_name: str, domain: str) -> Path:
        return self.folder / domain / f"{stored_name}{_SUFFIX}"

    def retired_example(self, stored_name: str, domain: str) -> Path:
        return self.folder / domain / "examples" / f"{stored_name}.json"


def schema_of(event_type: type[Event]) -> dict[str, Any]:
    """Return the JSON Schema of an event's body in its current version."""
    made = event_type.model_json_schema()
    for name, person_field in personal_fields(event_type).items():
        made["properties"][name]["x-personal"] = person_field
    head: dict[str, Any] = {"$schema": DIALECT, "$id": f"/schemas/{event_type.stored_name()}"}
    if event_type.deprecated:
        made |= {"deprecated": True, "x-deprecated": event_type.deprecated}
    return {**head, **{word: made.pop(word) for word in _FIRST_WORDS if word in made}, **made}


def write(contract: Contract | None = None) -> list[Path]:
    """Write the schemas that are missing or have grown by optional fields; return their paths.

    Raises:
        IncompatibleSchema: a published schema would break; nothing was written.
    """
    contract = contract or Contract()
    outdated: dict[Path, dict[str, Any]] = {}
    breaks: list[str] = []
    for event_type in contract.types:
        path, current = contract.schema_path(event_type, event_type.version), schema_of(event_type)
        published = read_file(path) if path.exists() else None
        if published is None or published != current:
            outdated[path] = current
        breaks.extend(_breaks(event_type, published, current))
    if breaks:
        raise IncompatibleSchema("; ".join(breaks))
    for path, schema in outdated.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(schema, option=orjson.OPT_INDENT_2) + b"\n")
    return list(outdated)


def check(contract: Contract | None = None) -> list[str]:
    """Return a sentence for each way in which events and published contract disagree."""
    contract = contract or Contract()
    return [
        *(p for event_type in contract.types for p in _check_current(contract, event_type)),
        *(
            p
            for event_type, version in contract.versions()
            for p in _check_version(contract, event_type, version)
        ),
        *(
            p
            for name, domain in contract.retired().items()
            for p in _check_retired(contract, name, domain)
        ),
        *(p for domain in _domains(contract) for p in _check_record(contract, domain)),
        *_orphans(contract),
    ]


def read_file(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of the contract; raises UnreadableContract."""
    try:
        return decode_body(path.read_bytes())
    except LogError as error:
        raise UnreadableContract(f"{path.name}: {error.message}") from error


def _breaks(
    event_type: type[Event], published: dict[str, Any] | None, current: dict[str, Any]
) -> list[str]:
    if published is None:
        return []
    name = event_type.stored_name()
    return [f"{name}: {change}" for change in breaking_changes(published, current)]


def _domains(contract: Contract) -> list[str]:
    return sorted({event_type.domain for event_type in contract.types})


def _check_current(contract: Contract, event_type: type[Event]) -> Iterator[str]:
    """Compare the published schema of the current version with what the class says now."""
    path, current = contract.schema_path(event_type, event_type.version), schema_of(event_type)
    if "description" not in current:
        yield f"{event_type.stored_name()}: the event has no docstring to describe it"
    if not path.exists():
        return
    published = read_file(path)
    breaks = _breaks(event_type, published, current)
    if breaks:
        yield from (f"{sentence}; publish a new version instead" for sentence in breaks)
    elif published != current:
        yield f"{event_type.stored_name()}: the schema is outdated; run `streamhub schemas write`"


def _check_version(contract: Contract, event_type: type[Event], version: int) -> Iterator[str]:
    """Look for schema, example and upcaster of a version, and whether they fit each other."""
    stored_name = f"{event_type.name}.v{version}"
    schema = contract.schema_path(event_type, version)
    example = contract.example_path(event_type, version)
    if version < event_type.version and stored_name not in contract.upcasters:
        yield f"{stored_name}: no upcaster lifts it"
    yield from _check_files(contract, event_type.domain, stored_name, schema, example)


def _check_retired(contract: Contract, stored_name: str, domain: str) -> Iterator[str]:
    """Look whether records under a former name can still be read, and by their own schema."""
    schema = contract.retired_schema(stored_name, domain)
    example = contract.retired_example(stored_name, domain)
    yield from _check_files(contract, domain, stored_name, schema, example)


def _check_files(
    contract: Contract, domain: str, stored_name: str, schema: Path, example: Path
) -> Iterator[str]:
    for what, path in (("schema", schema), ("example", example)):
        if not path.exists():
            yield f"{stored_name}: the {what} is missing"
    if not example.exists():
        return
    body = read_file(example)
    yield from _check_lifting(contract, domain, stored_name, body)
    if schema.exists():
        yield from _check_body(f"{stored_name}: the example", read_file(schema), body)


def _check_body(what: str, schema: dict[str, Any], body: dict[str, Any]) -> Iterator[str]:
    for error in Draft202012Validator(schema).iter_errors(body):
        yield f"{what} breaks its schema at {error.json_path}: {error.message}"


def _check_lifting(
    contract: Contract, domain: str, stored_name: str, body: dict[str, Any]
) -> Iterator[str]:
    """Read an example as readers of today would, whatever its version."""
    headers = {
        **dict.fromkeys(_ID_HEADERS, "example"),
        "ce_type": stored_name,
        "ce_time": "2026-01-01T00:00:00Z",
        "stream_version": "1",
    }
    record = RecordExample(topic=f"events.{domain}", key="", headers=headers, value=body)
    yield from _check_reading(contract, record, f"{stored_name}: the example")


def _check_reading(contract: Contract, example: RecordExample, what: str) -> Iterator[str]:
    record = LogRecord(
        source=TopicPartition(example.topic, 0),
        offset=0,
        key=example.key,
        value=orjson.dumps(example.value),
        headers={name: value.encode() for name, value in example.headers.items()},
        timestamp_ms=0,
    )
    try:
        decode_all(record, _NoKeys(), EventRegistry(contract.types, contract.upcasters))
    except LogError as error:
        yield f"{what} cannot be read: {error.message}"


class _NoKeys:
    """The key ring of a reader whom nobody gave a key."""

    async def load(self, person_ids: Iterable[str]) -> None:
        """There is nothing to fetch."""

    async def create(self, person_id: str) -> None:
        """Nobody's data is written here."""

    def cipher(self, person_id: str) -> AESGCM | None:  # noqa: ARG002
        return None


def _check_record(contract: Contract, domain: str) -> Iterator[str]:
    """Read the domain's example of a whole record."""
    path, what = contract.folder / domain / "examples" / RECORD, f"{domain}/{RECORD}"
    if not path.exists():
        yield f"{what}: is missing"
        return
    try:
        record = RecordExample.model_validate(read_file(path))
    except ValidationError as error:
        yield f"{what}: is no record: {error}"
        return
    yield from _check_reading(contract, record, what)
    stored_name = record.headers.get("ce_type", "")
    schema = contract.folder / domain / f"{stored_name}{_SUFFIX}"
    if not schema.exists() or record.headers.get("ce_dataschema") != f"/schemas/{stored_name}":
        yield f"{what}: its ce_dataschema names no schema of the domain"
        return
    yield from _check_body(what, read_file(schema), record.value)


def _orphans(contract: Contract) -> Iterator[str]:
    """Find files and upcasters that belong to no event."""
    known = {contract.folder / d / "examples" / RECORD for d in _domains(contract)}
    known.add(contract.folder / ASYNCAPI)
    stored_names = set()
    for event_type, version in contract.versions():
        known |= {contract.schema_path(event_type, version)}
        known |= {contract.example_path(event_type, version)}
        stored_names.add(f"{event_type.name}.v{version}")
    for stored_name, domain in contract.retired().items():
        known |= {contract.retired_schema(stored_name, domain)}
        known |= {contract.retired_example(stored_name, domain)}
        stored_names.add(stored_name)
    for path in sorted(contract.folder.rglob("*.json")):
        if path not in known:
            yield f"{path.relative_to(contract.folder)}: belongs to no event"
    for stored_name in sorted(contract.upcasters.keys() - stored_names):
        yield f"{stored_name}: an upcaster lifts what no event ever was"
