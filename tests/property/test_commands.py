"""Each command once, whoever sends it how often; the state is what its events say."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given

from commands.aggregate import Aggregate, StreamState
from commands.router import AGGREGATES, ROUTER
from events.base import Command, Event
from events.errors import DomainError
from tests.property.histories import DELIVERIES, Delivery, decide, lives
from tests.property.profile import examples
from tests.unit.commands.site import Site

BY_NAME = pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda each: each.name)


def log_of(site: Site, domain: str) -> list[tuple[Any, ...]]:
    """Return what stands in the log, without the offsets."""
    return [
        (e.source, e.metadata.event_id, e.metadata.stream, e.metadata.stream_version, e.event)
        for e in site.events(domain)
    ]


def outcomes_of(site: Site, domain: str) -> dict[str, tuple[Any, ...]]:
    return {
        o.command_id: (o.stream_version, o.event_count, o.answer, o.refusal)
        for o in site.outcomes(domain)
    }


@BY_NAME
def test_a_command_that_comes_again_adds_nothing(aggregate: Aggregate[Any]) -> None:
    @examples(20)
    @given(lives(aggregate), DELIVERIES)
    def adds_nothing(history: list[Command], delivery: Delivery) -> None:
        once = asyncio.run(decide(history))
        often = asyncio.run(decide(history, delivery))
        assert log_of(often, aggregate.domain) == log_of(once, aggregate.domain)
        assert outcomes_of(often, aggregate.domain) == outcomes_of(once, aggregate.domain)
        assert len(often.outcomes(aggregate.domain)) == len(history)

    adds_nothing()


@BY_NAME
def test_the_state_is_the_fold_of_the_events(aggregate: Aggregate[Any]) -> None:
    @examples(15)
    @given(lives(aggregate))
    def is_the_fold(history: list[Command]) -> None:
        site = asyncio.run(decide(history))
        folded: dict[str, StreamState] = defaultdict(lambda: StreamState(0, aggregate.initial))
        for recorded in site.events(aggregate.domain):
            stream, before = recorded.metadata.stream, folded[recorded.metadata.stream]
            assert recorded.metadata.stream_version == before.version + 1
            state = aggregate.evolve(before.state, recorded.event)
            folded[stream] = StreamState(before.version + 1, state)
        for stream, stored in site.store.states.items():
            assert stored.version == folded[stream].version
            assert stored.body == folded[stream].state.model_dump_json().encode()
        assert folded.keys() <= site.store.states.keys()

    is_the_fold()


@BY_NAME
def test_deciding_and_evolving_are_pure(aggregate: Aggregate[Any]) -> None:
    @examples(15)
    @given(lives(aggregate))
    def is_pure(history: list[Command]) -> None:
        states: dict[str, Any] = defaultdict(lambda: aggregate.initial)
        for command in history:
            state = states[command.stream()]
            copy = state.model_copy(deep=True)
            first, again = tried(aggregate, command, state), tried(aggregate, command, copy)
            assert first == again
            assert state == copy
            for event in first if isinstance(first, list) else []:
                assert ROUTER.for_event(event) is aggregate
                states[command.stream()] = aggregate.evolve(states[command.stream()], event)

    is_pure()


def tried(aggregate: Aggregate[Any], command: Command, state: Any) -> list[Event] | str:
    try:
        return list(aggregate.decide(command, state))
    except DomainError as refusal:
        return refusal.code
