"""The contract of events that were renamed, split or deprecated, and the document made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator

from events.base import Event, Id
from events.registry import EVENT_TYPES
from events.upcasting import Renamed, Split, Step
from schemas import asyncapi
from schemas.asyncapi import document, inlined
from schemas.catalogue import DOMAINS
from schemas.compatibility import breaking_changes
from schemas.publish import FOLDER, Contract, check, schema_of, write
from tests.unit.events.known import ADA, VIDEO
from tests.unit.schemas.test_publish import RECORD


class ClipTrimmed(Event):
    """A clip was trimmed, which was called cutting once."""

    name = "clip.trimmed"
    domain = "clips"

    clip_id: Id
    editor_id: Id


class ClipTrimmedNoMore(ClipTrimmed):
    """A clip was trimmed, which was called cutting once."""

    deprecated = "clips are not trimmed any more; look for scenes"


EXAMPLE = {"clip_id": VIDEO, "editor_id": ADA}
STEPS: dict[str, Step] = {
    "clip.cut.v2": Renamed("clip.trimmed.v1"),
    "clip.cut.v1": lambda data: data,
    "clip.cut_twice.v1": Split(
        ("clip.cut.v1",), lambda data: [("clip.cut.v1", data), ("clip.cut.v1", data)]
    ),
}
FORMER = ("clip.cut.v1", "clip.cut.v2", "clip.cut_twice.v1")


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    """A folder as it was left behind by releases that wrote the former names."""
    contract = Contract(tmp_path, (ClipTrimmed,), STEPS)
    examples = tmp_path / "clips" / "examples"
    examples.mkdir(parents=True)
    write(contract)
    for name in FORMER:
        schema = {**schema_of(ClipTrimmed), "$id": f"/schemas/{name}"}
        put(tmp_path / "clips" / f"{name}.schema.json", schema)
    for name in (*FORMER, "clip.trimmed.v1"):
        put(examples / f"{name}.json", EXAMPLE)
    headers = {**RECORD["headers"], "ce_type": "clip.cut.v1"}  # type: ignore[dict-item]
    put(examples / "record.json", {**RECORD, "headers": headers, "value": EXAMPLE})
    return contract


def put(path: Path, data: Any) -> None:
    path.write_bytes(orjson.dumps(data))


def test_former_names_keep_their_place_in_the_contract(contract: Contract) -> None:
    assert contract.retired() == dict.fromkeys(FORMER, "clips")
    assert check(contract) == []


@pytest.mark.parametrize("name", FORMER)
def test_a_former_name_needs_its_schema_and_its_example(contract: Contract, name: str) -> None:
    contract.retired_schema(name, "clips").unlink()
    contract.retired_example(name, "clips").unlink()
    assert {f"{name}: the schema is missing", f"{name}: the example is missing"} <= set(
        check(contract)
    )


def test_a_former_example_that_cannot_be_read_today_is_told(contract: Contract) -> None:
    broken = {**STEPS, "clip.cut.v2": Renamed("clip.trimmed.v1", lambda _: {"clip_id": VIDEO})}
    problems = check(Contract(contract.folder, contract.types, broken))
    assert any(p.startswith("clip.cut.v2: the example cannot be read") for p in problems)


def test_a_rename_to_nowhere_is_told(contract: Contract) -> None:
    lost = Contract(contract.folder, contract.types, {"clip.cut.v2": Renamed("clip.gone.v1")})
    assert "clip.cut.v2: an upcaster lifts what no event ever was" in check(lost)


def test_deprecating_an_event_breaks_nobody(contract: Contract) -> None:
    before, after = schema_of(ClipTrimmed), schema_of(ClipTrimmedNoMore)
    assert (after["deprecated"], after["x-deprecated"]) == (True, ClipTrimmedNoMore.deprecated)
    assert "deprecated" not in before
    assert breaking_changes(before, after) == []
    deprecated = Contract(contract.folder, (ClipTrimmedNoMore,), STEPS)
    assert any("outdated" in problem for problem in check(deprecated))
    write(deprecated)
    assert check(deprecated) == []
    message = document(deprecated)["components"]["messages"]["clip.trimmed.v1"]
    assert message["x-deprecated"] == ClipTrimmedNoMore.deprecated


def test_the_document_is_as_published_and_told_when_it_is_not(contract: Contract) -> None:
    assert asyncapi.check() == []
    assert "is missing" in asyncapi.check(contract)[0]
    [path] = asyncapi.write(contract)
    assert asyncapi.check(contract) == []
    assert asyncapi.write(contract) == []
    path.write_bytes(b"{}")
    assert "is outdated" in asyncapi.check(contract)[0]
    assert check(contract) == []


def test_every_event_is_a_message_of_the_channel_that_it_stands_in() -> None:
    made = document()
    assert made["asyncapi"] == "3.0.0"
    for event_type in EVENT_TYPES:
        name = event_type.stored_name()
        topics = [topic for topic, c in made["channels"].items() if name in c["messages"]]
        outcomes = [domain.outcomes for domain in DOMAINS]
        expected = outcomes if event_type.domain == "outcomes" else [f"events.{event_type.domain}"]
        assert topics == expected


def test_former_names_are_messages_too(contract: Contract) -> None:
    messages = document(contract)["components"]["messages"]
    assert {name for name, message in messages.items() if message.get("x-former")} == set(FORMER)


def test_references_within_the_document_lead_somewhere() -> None:
    made = document()

    def follow(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                found: Any = made
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            for each in node.values():
                follow(each)
        elif isinstance(node, list):
            for each in node:
                follow(each)

    follow(made)
    assert "$defs" not in orjson.dumps(made).decode()


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.stored_name())
def test_a_payload_without_references_admits_what_the_schema_admits(
    event_type: type[Event],
) -> None:
    payload = inlined(schema_of(event_type))
    Draft7Validator.check_schema(payload)
    name = event_type.stored_name()
    example = orjson.loads((FOLDER / event_type.domain / "examples" / f"{name}.json").read_bytes())
    Draft7Validator(payload).validate(example)
    for required in payload.get("required", ()):
        without = {field: value for field, value in example.items() if field != required}
        assert not Draft7Validator(payload).is_valid(without)
