"""Which changes of a schema break records or readers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, create_model

from events.base import Event, Id
from events.privacy import Personal
from schemas.compatibility import breaking_changes
from schemas.publish import schema_of


class Mood(StrEnum):
    CALM = "calm"
    WILD = "wild"


class WiderMood(StrEnum):
    CALM = "calm"
    WILD = "wild"
    DULL = "dull"


class Scene(BaseModel):
    start: int
    mood: Mood


class SceneWithNote(Scene):
    note: str | None = None


class SceneWithTitle(Scene):
    title: str


Fields = dict[str, Any]
BASE: Fields = {
    "video_id": (Id, ...),
    "mood": (Mood, ...),
    "title": (Annotated[str, Field(max_length=20)], ...),
    "length": (float, ...),
    "count": (Annotated[int, Field(ge=0)], 0),
    "note": (Annotated[str | None, Personal("video_id")], None),
    "editor_id": (Id | None, ...),
    "scenes": (tuple[Scene, ...], ()),
    "extra": (dict[str, int], ...),
}


def schema(fields: Fields) -> dict[str, Any]:
    """Return the schema of an event with these fields."""
    made: type[Event] = create_model("Cut", __base__=Event, **fields)
    made.name, made.domain = "clip.cut", "clips"
    return schema_of(made)


def changes(**fields: Any) -> list[str]:
    """Return what breaks when these fields replace those of the same name; None removes one."""
    kept = {**BASE, **fields}
    return breaking_changes(schema(BASE), schema({k: v for k, v in kept.items() if v is not None}))


def test_the_same_schema_breaks_nothing() -> None:
    assert changes() == []


def test_explanations_may_change() -> None:
    published = schema(BASE)
    current = {**published, "title": "Snip", "description": "Another word for it"}
    assert breaking_changes(published, current) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"colour": (str | None, None)},
        {"colour": (Annotated[str | None, Personal("video_id")], None)},
        {"weight": (int, 3)},
        {"scenes": (tuple[SceneWithNote, ...], ())},
    ],
    ids=["optional", "optional and personal", "with a default", "optional and nested"],
)
def test_an_optional_field_may_be_added(fields: Fields) -> None:
    assert changes(**fields) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"length": None}, "length: was removed"),
        ({"note": None}, "note: was removed"),
        ({"colour": (str, ...)}, "colour: is required now"),
        ({"count": (Annotated[int, Field(ge=0)], ...)}, "count: is required now"),
        ({"length": (float, 1.0)}, "length: is optional now"),
        ({"length": (int, ...)}, "length: 'type' changed from 'number' to 'integer'"),
        ({"length": (str, ...)}, "length: 'type' changed from 'number' to 'string'"),
        ({"mood": (WiderMood, ...)}, "mood: the value 'dull' is new"),
        ({"mood": (str, ...)}, "mood: 'enum' changed"),
        ({"title": (Annotated[str, Field(max_length=10)], ...)}, "title: 'maxLength' changed"),
        ({"title": (Annotated[str, Field(max_length=30)], ...)}, "title: 'maxLength' changed"),
        ({"title": (str, ...)}, "title: 'maxLength' changed from 20 to None"),
        ({"length": (Annotated[float, Field(ge=0)], ...)}, "length: 'minimum' changed"),
        ({"count": (Annotated[int, Field(ge=0)], 1)}, "count: 'default' changed from 0 to 1"),
        ({"editor_id": (Id, ...)}, "editor_id: 'nullable' changed from True to None"),
        ({"mood": (Mood | None, ...)}, "mood: 'nullable' changed from None to True"),
        ({"editor_id": (str | None, ...)}, "editor_id: 'pattern' changed"),
        ({"note": (str | None, None)}, "note: 'x-personal' changed from 'video_id' to None"),
        ({"title": (Annotated[str, Field(max_length=20), Personal("video_id")], ...)}, "title: 'x"),
        ({"scenes": (tuple[SceneWithTitle, ...], ())}, "scenes[].title: is required now"),
        ({"scenes": (tuple[Mood, ...], ())}, "scenes[]"),
        ({"scenes": (Scene, ...)}, "scenes"),
        ({"extra": (dict[str, str], ...)}, "extra: 'type' changed"),
        ({"length": (float | str, ...)}, "length: 'anyOf' changed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_else_breaks_records_or_readers(fields: Fields, expected: str) -> None:
    found = changes(**fields)
    assert any(sentence.startswith(expected) for sentence in found), found


def test_a_value_that_is_gone_breaks_the_records_that_hold_it() -> None:
    wider = schema({**BASE, "mood": (WiderMood, ...)})
    [sentence] = [s for s in breaking_changes(wider, schema(BASE)) if s.startswith("mood")]
    assert sentence == "mood: the value 'dull' was removed, and records hold it"


def test_every_change_is_told() -> None:
    found = changes(length=None, title=None, mood=(WiderMood, ...))
    assert {sentence.split(":")[0] for sentence in found} == {"length", "title", "mood"}
