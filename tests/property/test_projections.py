"""Read models hold the same, however often and in whatever order their partitions are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.base import Command, Event, TopicPartition
from events.codec import LogRecord
from projections import patience
from projections.batches import Batch
from projections.declaration import Projection, Store
from projections.ports import StoreUnavailable
from projections.registry import of_store
from projections.runner import ChosenBuilds, Runner
from tests.property.histories import decide, histories
from tests.property.messages import PEOPLE, events
from tests.property.profile import examples
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import log_record
from tests.unit.projections.memory import MemoryDeadLetters, MemoryParking, MemorySink, Rows

PROJECTIONS = of_store(Store.POSTGRES)
EVENTS = tuple({event for projection in PROJECTIONS for event in projection.events})
KEYS = MemoryKeyRing.loaded(*PEOPLE)


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "_FIRST_RETRY_S", 0.0001)
        yield


def new_runner(sink: MemorySink, projections: Sequence[Projection], keys: MemoryKeyRing) -> Runner:
    return Runner(
        "property",
        projections,
        sink,
        builds=ChosenBuilds(),
        keys=keys.for_reader(),
        dead_letters=MemoryDeadLetters(),
        parking=MemoryParking(),
        dead_letter_cap=1.0,
    )


def rows_of(sink: MemorySink) -> dict[str, Rows]:
    """Return the rows, those left out of which nothing is known but their key."""
    return {table: rows for table, rows in sink.content.rows.items() if rows}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a reader: how far back it starts, how much it takes, what befalls it."""

    back: int
    size: int
    restart: bool
    failure: str


TURNS = st.builds(
    Turn,
    back=st.integers(0, 5),
    size=st.integers(0, 6),
    restart=st.booleans(),
    failure=st.sampled_from(["", "", "before", "after"]),
)


def failing_once() -> Callable[[], None]:
    left = [StoreUnavailable("away")]

    def fail() -> None:
        if left:
            raise left.pop()

    return fail


async def read_often(
    projection: Projection, records: Sequence[LogRecord], turns: Sequence[Turn]
) -> dict[str, Rows]:
    """Apply the records of one partition as the turns say, then whatever is left."""
    sink = MemorySink([projection])
    source = records[0].source
    runner = new_runner(sink, [projection], KEYS)
    await runner.assign([source])
    for turn in [*turns, Turn(0, len(records), restart=True, failure="")]:
        if turn.restart:
            runner = new_runner(sink, [projection], KEYS)
            await runner.assign([source])
        begins = max(0, runner.position(source) - turn.back)
        ends = min(len(records), begins + turn.size)
        sink.before = failing_once() if turn.failure == "before" else lambda: None
        sink.after = failing_once() if turn.failure == "after" else lambda: None
        await runner.apply([Batch(source, begins, ends, records[begins:ends])])
    assert runner.position(source) == len(records)
    return rows_of(sink)


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda each: each.name)
def test_at_least_once_is_exactly_once(projection: Projection) -> None:
    @examples(30)
    @given(
        st.lists(events(*projection.events), min_size=1, max_size=25),
        st.lists(TURNS, max_size=12),
    )
    def is_exactly_once(facts: list[Event], turns: list[Turn]) -> None:
        [topic, *_] = sorted(projection.topics())
        source = TopicPartition(topic, 0)
        records = [
            log_record(fact, KEYS, offset=offset, source=source)
            for offset, fact in enumerate(facts)
        ]
        assert asyncio.run(read_often(projection, records, turns)) == asyncio.run(
            read_often(projection, records, [])
        )

    is_exactly_once()


async def read_interleaved(
    logs: Sequence[Sequence[LogRecord]], order: Sequence[int], keys: MemoryKeyRing
) -> dict[str, Rows]:
    """Read the partitions, each in its order, taking turns as ``order`` says."""
    sink = MemorySink(PROJECTIONS)
    runner = new_runner(sink, PROJECTIONS, keys)
    await runner.assign([log[0].source for log in logs])
    left = [list(log) for log in logs]
    for number in [*order, *(n for n, log in enumerate(logs) for _ in log)]:
        if number < len(left) and left[number]:
            record = left[number].pop(0)
            source = record.source
            begins = runner.position(source)
            await runner.apply([Batch(source, begins, record.offset + 1, [record])])
    return rows_of(sink)


@examples(25)
@given(histories(), st.lists(st.integers(0, 15), max_size=60))
def test_the_order_of_partitions_does_not_matter(history: list[Command], order: list[int]) -> None:
    site = asyncio.run(decide(history))
    logs = [
        [record for record in log if record is not None]
        for source, log in sorted(site.broker.logs.items())
        if source.topic.startswith(("events.", "outcomes."))
    ]
    logs = [log for log in logs if log]
    straight: Any = asyncio.run(read_interleaved(logs, [], site.keys))
    assert asyncio.run(read_interleaved(logs, order, site.keys)) == straight
    assert asyncio.run(read_interleaved(logs[::-1], order, site.keys)) == straight
