"""The published contract: what is written, what is refused, what is found wanting."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import pytest

from events.base import Event, Id
from events.privacy import Personal
from events.upcasting import Upcaster
from events.users import UserRegistered
from schemas.publish import (
    Contract,
    IncompatibleSchema,
    UnreadableContract,
    check,
    schema_of,
    write,
)
from tests.unit.events.known import ADA, VIDEO


class ClipCut(Event):
    """A clip was cut."""

    name = "clip.cut"
    domain = "clips"

    clip_id: Id
    editor_id: Id
    note: Annotated[str, Personal("editor_id")]


class ClipCutWithReason(ClipCut):
    """A clip was cut, for a reason."""

    reason: str | None = None


class ClipCutWithoutNote(Event):
    """A clip was cut in silence."""

    name = "clip.cut"
    domain = "clips"

    clip_id: Id
    editor_id: Id


class ClipCutAgain(ClipCutWithoutNote):
    """A clip was cut at a second."""

    version = 2

    at_second: int


class ClipCutUndescribed(ClipCut):
    pass


EXAMPLE = {"clip_id": VIDEO, "editor_id": ADA, "note": "Too long"}
LIFT: Mapping[str, Upcaster] = {"clip.cut.v1": lambda data: {**data, "at_second": 0}}
HEADERS = {
    "ce_id": "1",
    "ce_type": "clip.cut.v1",
    "ce_subject": "clip-1",
    "ce_time": "2026-03-01T09:30:00Z",
    "ce_dataschema": "/schemas/clip.cut.v1",
    "stream_version": "1",
    "command_id": "1",
    "correlation_id": "1",
    "causation_id": "1",
}
RECORD = {
    "topic": "events.clips",
    "key": VIDEO,
    "headers": HEADERS,
    "value": EXAMPLE,
}


class Place:
    """A folder in which events of a test are published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.schema = folder / "clips" / "clip.cut.v1.schema.json"
        self.example = folder / "clips" / "examples" / "clip.cut.v1.json"
        self.record = folder / "clips" / "examples" / "record.json"
        self.example.parent.mkdir(parents=True)
        self.put(self.example, EXAMPLE)
        self.put(self.record, RECORD)
        write(self.contract(ClipCut))

    def contract(
        self, *types: type[Event], upcasters: Mapping[str, Upcaster] | None = None
    ) -> Contract:
        return Contract(self.folder, types, upcasters or {})

    def put(self, path: Path, data: Any) -> None:
        path.write_bytes(orjson.dumps(data))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_contract_of_streamhub_is_as_published() -> None:
    assert check() == []


def test_a_schema_says_what_it_is_and_whose_personal_fields_are() -> None:
    schema = schema_of(UserRegistered)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "/schemas/user.registered.v1"
    assert schema["title"] == "UserRegistered"
    assert schema["description"].startswith("An account was opened.")
    personal = {n: f["x-personal"] for n, f in schema["properties"].items() if "x-personal" in f}
    assert personal == dict.fromkeys(("username", "email", "password_hash"), "user_id")


def test_what_was_published_is_found_in_order(place: Place) -> None:
    assert check(place.contract(ClipCut)) == []
    assert write(place.contract(ClipCut)) == []


def test_a_missing_schema_is_told_and_written(place: Place) -> None:
    place.schema.unlink()
    problems = check(place.contract(ClipCut))
    assert "clip.cut.v1: the schema is missing" in problems
    assert write(place.contract(ClipCut)) == [place.schema]
    assert check(place.contract(ClipCut)) == []


def test_an_optional_field_makes_the_schema_outdated_until_it_is_written(place: Place) -> None:
    [problem] = check(place.contract(ClipCutWithReason))
    assert "outdated" in problem
    assert write(place.contract(ClipCutWithReason)) == [place.schema]
    assert check(place.contract(ClipCutWithReason)) == []


def test_a_breaking_change_is_refused_and_nothing_is_written(place: Place) -> None:
    before = place.schema.read_bytes()
    [problem, *_] = check(place.contract(ClipCutWithoutNote))
    assert problem.startswith("clip.cut.v1: note: was removed")
    with pytest.raises(IncompatibleSchema, match=r"clip\.cut\.v1: note"):
        write(place.contract(UserRegistered, ClipCutWithoutNote))
    assert place.schema.read_bytes() == before
    assert not (place.folder / "users").exists()


def test_a_new_version_stands_beside_the_old_one(place: Place) -> None:
    contract = place.contract(ClipCutAgain, upcasters=LIFT)
    assert [path.name for path in write(contract)] == ["clip.cut.v2.schema.json"]
    assert check(contract) == ["clip.cut.v2: the example is missing"]
    second = place.folder / "clips" / "examples" / "clip.cut.v2.json"
    place.put(second, {"clip_id": VIDEO, "editor_id": ADA, "at_second": 3})
    assert check(contract) == []
    assert place.schema.exists()


def test_an_old_version_needs_schema_example_and_upcaster(place: Place) -> None:
    contract = place.contract(ClipCutAgain)
    write(contract)
    place.schema.unlink()
    place.example.unlink()
    problems = check(contract)
    assert "clip.cut.v1: no upcaster lifts it" in problems
    assert "clip.cut.v1: the schema is missing" in problems
    assert "clip.cut.v1: the example is missing" in problems


def test_an_upcaster_that_cannot_lift_the_old_example_is_told(place: Place) -> None:
    contract = place.contract(ClipCutAgain, upcasters={"clip.cut.v1": lambda data: data})
    write(contract)
    [problem] = [p for p in check(contract) if p.startswith("clip.cut.v1")]
    assert problem.startswith("clip.cut.v1: the example cannot be read")


def test_an_upcaster_of_an_event_that_never_was_is_told(place: Place) -> None:
    contract = place.contract(ClipCut, upcasters={"clip.glued.v1": lambda data: data})
    assert check(contract) == ["clip.glued.v1: an upcaster lifts what no event ever was"]


def test_an_example_that_breaks_its_schema_is_told(place: Place) -> None:
    place.put(place.example, {**EXAMPLE, "clip_id": 7})
    problems = check(place.contract(ClipCut))
    assert any("breaks its schema at $.clip_id" in problem for problem in problems)
    assert any("cannot be read" in problem for problem in problems)


@pytest.mark.parametrize("name", ["clips/clip.glued.v1.schema.json", "reels/examples/reel.v1.json"])
def test_a_file_without_an_event_is_told(place: Place, name: str) -> None:
    orphan = place.folder / name
    orphan.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(place.example, orphan)
    assert check(place.contract(ClipCut)) == [f"{name}: belongs to no event"]


def test_an_event_without_a_docstring_is_told(place: Place) -> None:
    problems = check(place.contract(ClipCutUndescribed))
    assert any("no docstring" in problem for problem in problems)


def test_a_domain_needs_an_example_of_a_whole_record(place: Place) -> None:
    place.record.unlink()
    assert check(place.contract(ClipCut)) == ["clips/record.json: is missing"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"headers": {}}, "cannot be read"),
        ({"headers": {**HEADERS, "ce_dataschema": "/x"}}, "names no schema"),
        ({"value": {**EXAMPLE, "note": None}}, "breaks its schema at $.note"),
        ({"colour": "blue"}, "is no record"),
    ],
)
def test_a_record_that_is_none_is_told(
    place: Place, change: Mapping[str, Any], problem: str
) -> None:
    place.put(place.record, {**RECORD, **change})
    problems = check(place.contract(ClipCut))
    assert any(problem in found for found in problems), problems


def test_a_record_may_hold_ciphertext(place: Place) -> None:
    sealed = f"pii:1:{ADA}:AAAA"
    headers = {**HEADERS, "persons": ADA}
    place.put(place.record, {**RECORD, "headers": headers, "value": {**EXAMPLE, "note": sealed}})
    assert check(place.contract(ClipCut)) == []


@pytest.mark.parametrize("body", [b"{", b"[]", b""])
def test_a_file_that_is_no_json_object_is_named(place: Place, body: bytes) -> None:
    place.example.write_bytes(body)
    with pytest.raises(UnreadableContract, match=r"clip\.cut\.v1\.json"):
        check(place.contract(ClipCut))
