"""Any event and any command, made from what their fields say that they may hold.

Ids come from a few people and things, so that messages meet each other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel, StringConstraints

from commands.router import ROUTER
from events.base import Command, Event, Message
from events.moderation import SubjectType
from tests.unit.events.known import (
    ADA,
    BEN,
    CLEO,
    COMMENT,
    LATER,
    NOW,
    OTHER_VIDEO,
    REPLY,
    SESSION,
    VIDEO,
)

PEOPLE = (ADA, BEN, CLEO)
#: Field -> the ids that it may hold; any other id field holds a person's.
THINGS: dict[str, tuple[str, ...]] = {
    "video_id": (VIDEO, OTHER_VIDEO),
    "comment_id": (COMMENT, REPLY),
    "parent_comment_id": (COMMENT,),
    "session_id": (SESSION,),
    "subject_id": (VIDEO, COMMENT),
    "command_id": (VIDEO, COMMENT),
}
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12
)
MOMENTS = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2035, 1, 1),
    timezones=st.just(UTC),
)
_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bool: st.booleans(),
    int: st.integers(1, 4),
    float: st.floats(0, 1, width=32),
    datetime: st.one_of(st.sampled_from([NOW, LATER]), MOMENTS),
    NoneType: st.none(),
    Any: st.one_of(st.booleans(), st.integers(-5, 5), TEXTS),
}


def values(annotation: Any, field: str, metadata: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Return what a field of this type may hold."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(parts[0], field, tuple(parts[1:]))
    if annotation is str and any(isinstance(each, StringConstraints) for each in metadata):
        return st.sampled_from(THINGS.get(field, PEOPLE))
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if origin in {Union, UnionType}:
        return st.one_of(*(values(part, field, metadata) for part in parts))
    if origin is tuple:
        return st.lists(values(parts[0], field), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXTS, values(parts[1], field), max_size=2)
    if issubclass(annotation, Enum):
        return st.sampled_from(list(annotation))
    return models(annotation)


def models(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Return instances of a model, with every field given."""
    if not hasattr(model, "model_fields"):
        fields = {name: values(str, name) for name in model.__annotations__}
    else:
        fields = {
            name: values(info.annotation, name, tuple(info.metadata))
            for name, info in model.model_fields.items()
        }
    return st.builds(model, **fields)


def messages(message_type: type[Message]) -> st.SearchStrategy[Any]:
    """Return events or commands of a type."""
    return models(message_type).map(_in_its_place)


def _in_its_place(message: Message) -> Message:
    """Let a comment stand under one video for ever, and be judged as what it is."""
    fields = type(message).model_fields.keys()
    if {"comment_id", "video_id"} <= fields:
        return message.model_copy(update={"video_id": VIDEO})
    if "subject_type" in fields:
        is_video = getattr(message, "subject_id", None) == VIDEO
        kind = SubjectType.VIDEO if is_video else SubjectType.COMMENT
        return message.model_copy(update={"video_id": VIDEO, "subject_type": kind})
    return message


def events(*types: type[Event]) -> st.SearchStrategy[Event]:
    return st.one_of(*map(messages, types))


def commands(*types: type[Command]) -> st.SearchStrategy[Command]:
    """Return commands of these types, or of all."""
    return st.one_of(*map(messages, types or tuple(ROUTER.command_types.values())))
