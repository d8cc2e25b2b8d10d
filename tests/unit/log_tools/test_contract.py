"""What the quick look at a body lets pass, the published schema lets pass as well."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from events.base import Event
from events.engagement import VideoLiked
from events.outcomes import CommandDecided
from events.registry import EVENT_TYPES
from infra.log_tools.keys import NoKeys
from infra.log_tools.verify.contract import is_exact, problem
from schemas.publish import Contract
from tests.unit.events.known import ADA, BEN, VIDEO
from tests.unit.log_tools.records import record_of

KEYS = NoKeys().ring
CONTRACT = Contract()
WRONG: tuple[Any, ...] = (None, True, 7, -1, 0.5, 1e30, "", "7", "true", [], [1], {}, {"a": 1})


def example(event_type: type[Event]) -> Any:
    return orjson.loads(CONTRACT.example_path(event_type, event_type.version).read_bytes())


def schema(event_type: type[Event]) -> Draft202012Validator:
    path = CONTRACT.schema_path(event_type, event_type.version)
    return Draft202012Validator(orjson.loads(path.read_bytes()))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value if isinstance(value, dict) else {}
    if isinstance(value, list):
        children = dict(enumerate(value))
    for name, child in children.items():
        yield (*path, name)
        yield from places(child, (*path, name))


def changed(body: Any) -> Iterator[Any]:
    """Yield the body with each of its parts missing, and with each replaced by something else."""
    for *path, name in places(body):
        for wrong in WRONG:
            other = copy.deepcopy(body)
            home = other
            for step in path:
                home = home[step]
            home[name] = wrong
            yield other
        del home[name]
        yield other


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda each: each.stored_name())
def test_the_quick_look_never_passes_what_the_schema_refuses(event_type: type[Event]) -> None:
    body, judge = example(event_type), schema(event_type)
    assert is_exact(event_type, orjson.dumps(body))
    refused = 0
    for other in changed(body):
        if not judge.is_valid(other):
            refused += 1
            assert not is_exact(event_type, orjson.dumps(other)), other
    assert refused > 10


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda each: each.stored_name())
def test_every_example_keeps_the_contract(event_type: type[Event]) -> None:
    record = record_of(event_type.model_validate(example(event_type)))
    assert problem(record, event_type.stored_name(), KEYS) is None


LIKED = VideoLiked(video_id=VIDEO, creator_id=ADA, user_id=BEN)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"nonsense", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "asks for required"),
        (orjson.dumps({**LIKED.model_dump(), "user_id": 7}), "at $.user_id"),
        (orjson.dumps({**LIKED.model_dump(), "user_id": "somebody"}), "asks for pattern"),
    ],
)
def test_what_breaks_the_contract_is_told(body: bytes, words: str) -> None:
    record = record_of(LIKED)
    record.value = body
    told = problem(record, LIKED.stored_name(), KEYS)
    assert told is not None
    assert words in told


def test_an_unknown_field_is_no_problem() -> None:
    record = record_of(LIKED)
    record.value = orjson.dumps({**LIKED.model_dump(), "later": 1})
    assert problem(record, LIKED.stored_name(), KEYS) is None


def test_an_event_belongs_into_its_topic() -> None:
    record = record_of(LIKED)
    record.source = record_of(example_of(CommandDecided)).source
    assert problem(record, LIKED.stored_name(), KEYS) == "video.liked.v1 belongs to engagement"


def example_of(event_type: type[Event]) -> Event:
    return event_type.model_validate(example(event_type))


@pytest.mark.parametrize("stored_name", ["video.liked.v2", "video.liked", "nothing.v1"])
def test_what_no_release_ever_wrote_is_told(stored_name: str) -> None:
    told = problem(record_of(LIKED), stored_name, KEYS)
    assert told is not None
    assert told.startswith("no release ever wrote")
