"""Given these events, when this command comes, then those events follow: tests of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from commands.aggregate import Aggregate, State
from events.base import Command, Event
from events.errors import DomainError


def given(aggregate: Aggregate[Any], *events: Event) -> Given:
    """Start from the state that these facts make."""
    state = aggregate.initial
    for event in events:
        assert type(event) in aggregate.events, f"{aggregate.name} has no {type(event).__name__}"
        state = aggregate.evolve(state, event)
    return Given(aggregate, state)


@dataclass(frozen=True, slots=True)
class Given:
    """An aggregate in a state."""

    aggregate: Aggregate[Any]
    state: State

    def when(self, command: Command) -> Decided:
        """Decide a command."""
        name = type(command).__name__
        assert type(command) in self.aggregate.commands, f"{self.aggregate.name} has no {name}"
        try:
            return Decided(self, command, self.aggregate.decide(command, self.state), None)
        except DomainError as refusal:
            return Decided(self, command, (), refusal)


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of the command."""

    before: Given
    command: Command
    events: Sequence[Event]
    refusal: DomainError | None

    def then(self, *expected: Event) -> dict[str, Any]:
        """Expect exactly these events; return what the client is told."""
        __tracebackhide__ = True
        if self.refusal is not None:
            pytest.fail(f"{self._what()} was refused with {self.refusal.code}: {self.refusal}")
        if list(self.events) != list(expected):
            pytest.fail(
                f"{self._what()} brought\n{_listed(self.events)}\ninstead of\n{_listed(expected)}"
            )
        state = self.before.state
        for event in expected:
            state = self.before.aggregate.evolve(state, event)
        return self.before.aggregate.answer(self.command, state)

    def then_nothing(self) -> dict[str, Any]:
        """Expect that the wish was fulfilled already; return what the client is told."""
        __tracebackhide__ = True
        return self.then()

    def then_refused(self, code: str) -> DomainError:
        """Expect a refusal with this code."""
        __tracebackhide__ = True
        if self.refusal is None:
            pytest.fail(f"{self._what()} was not refused, it brought\n{_listed(self.events)}")
        if self.refusal.code != code:
            pytest.fail(f"{self._what()} was refused with {self.refusal.code}, not with {code}")
        return self.refusal

    def _what(self) -> str:
        return f"{self.command!r} on {self.before.state!r}"


def _listed(events: Sequence[Event]) -> str:
    return "\n".join(f"  {event!r}" for event in events) or "  nothing"
