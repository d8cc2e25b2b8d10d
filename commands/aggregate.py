"""How an aggregate is declared: pure functions over immutable state, joined in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from events.base import Command, Event


class State(BaseModel):
    """What decisions need, and no more; never personal data, which only the log keeps."""

    model_config = ConfigDict(frozen=True)


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class UniqueValue:
    """A value that one aggregate at most may hold (``kind`` names the namespace and the field)."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Aggregate(Generic[S]):
    """An aggregate: its first state, and how commands, events and state relate.

    ``decide(command, state)`` returns the events that follow, an empty list where the wish is
    already fulfilled, or raises a ``DomainError``. ``evolve(state, event)`` returns the state
    after a fact. Both are pure: no clock, no chance, no I/O. ``answer(command, state)`` is what
    the client is told about the state after its command; it never carries personal data.
    ``unique(command)`` lists the values that must be claimed before the command's events.
    """

    name: str
    domain: str
    initial: S
    commands: tuple[type[Command], ...]
    events: tuple[type[Event], ...]
    decide: Callable[[Any, S], Sequence[Event]]
    evolve: Callable[[S, Any], S]
    answer: Callable[[Any, S], dict[str, Any]]
    unique: Callable[[Any], Sequence[UniqueValue]] = lambda _: ()


class StreamState(NamedTuple):
    """A stream's state and the number of its events so far."""

    version: int
    state: State
