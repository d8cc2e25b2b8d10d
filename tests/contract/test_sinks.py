"""What every sink promises, asked of all four stores."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from events.base import TopicPartition
from events.codec import LogRecord
from projections.ports import Move, PositionMoved, Sink, Step, StoreUnavailable
from projections.runner import ChosenBuilds, Runner
from tests.contract.conftest import OpenSink
from tests.contract.history import (
    ELSEWHERE,
    ENGAGEMENT,
    History,
    come_to,
    descriptions,
    engagement,
    some_videos,
)
from tests.contract.link import Link
from tests.contract.stores import Facts, Store
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN
from tests.unit.projections.memory import MemoryParking

DEADLINE_S = 30.0
#: Crashes, and then a life that reads to the end.
LIVES = 9


def steps(store: Store, history: History, before: int = 0, after: int | None = None) -> list[Step]:
    """Return the step of all the store's projections over the offsets from before up to after."""
    moves = [history.move(projection, before, after) for projection in store.projections]
    return [Step(history.source, moves)]


def known(store: Store, facts: Facts) -> Facts:
    """Return the facts that the store keeps."""
    return {video: {name: fact[name] for name in store.facts} for video, fact in facts.items()}


async def position(sink: Sink, store: Store, source: TopicPartition = ENGAGEMENT) -> int:
    """Return the position of all the store's projections, which agree."""
    stored = await sink.positions(store.projections)
    (agreed,) = {stored.get(p.name, {}).get(source, 0) for p in store.projections}
    return agreed


async def test_nothing_has_a_position_at_first(store: Store, sink: Sink) -> None:
    assert await position(sink, store) == 0


async def test_a_step_is_applied_together_with_its_position(store: Store, sink: Sink) -> None:
    videos = some_videos(5)
    history = engagement(videos, 60)
    await sink.apply(steps(store, history))
    assert await store.read(videos) == known(store, come_to(history))
    assert await position(sink, store) == history.end


async def test_a_step_without_changes_moves_the_position(store: Store, sink: Sink) -> None:
    await sink.apply([Step(ENGAGEMENT, [Move(p, 0, 7, []) for p in store.projections])])
    assert await position(sink, store) == 7


async def test_the_same_step_again_changes_nothing(store: Store, sink: Sink) -> None:
    videos = some_videos(3)
    history = engagement(videos, 30)
    await sink.apply(steps(store, history))
    with pytest.raises(PositionMoved):
        await sink.apply(steps(store, history))
    assert await store.read(videos) == known(store, come_to(history))
    assert await position(sink, store) == history.end


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "untouched"])
async def test_a_step_that_does_not_follow_is_refused(
    store: Store, sink: Sink, begun: bool
) -> None:
    videos = some_videos(3)
    history = engagement(videos, 30)
    end = 10 if begun else 0
    if begun:
        await sink.apply(steps(store, history, 0, end))
    before = await store.read(videos)
    with pytest.raises(PositionMoved):
        await sink.apply(steps(store, history, 15))
    assert await store.read(videos) == before
    assert await position(sink, store) == end


async def test_steps_follow_on_each_other(store: Store, sink: Sink) -> None:
    videos = some_videos(4)
    history = engagement(videos, 40)
    for before in range(0, history.end, 9):
        after = min(before + 9, history.end)
        await sink.apply(steps(store, history, before, after))
    assert await store.read(videos) == known(store, come_to(history))
    assert await position(sink, store) == history.end


async def test_partitions_stand_apart(store: Store, sink: Sink) -> None:
    here, there = some_videos(2), some_videos(2)
    first, second = engagement(here, 20), History(ELSEWHERE, engagement(there, 30, seed=2).events)
    await sink.apply(steps(store, first))
    await sink.apply(steps(store, second))
    assert await store.read([*here, *there]) == known(store, come_to(first, second))
    assert await position(sink, store) == first.end
    assert await position(sink, store, ELSEWHERE) == second.end


async def test_steps_of_several_partitions_are_applied_at_once(store: Store, sink: Sink) -> None:
    here, there = some_videos(2), some_videos(2)
    first, second = engagement(here, 20), History(ELSEWHERE, engagement(there, 30, seed=2).events)
    await sink.apply([*steps(store, first), *steps(store, second)])
    assert await store.read([*here, *there]) == known(store, come_to(first, second))
    assert await position(sink, store) == first.end
    assert await position(sink, store, ELSEWHERE) == second.end


async def test_topics_that_speak_of_the_same_rows_meet_in_any_order(
    store: Store, sink: Sink
) -> None:
    videos = some_videos(3)
    counts, words = engagement(videos, 30), descriptions(videos, 10)
    await sink.apply(steps(store, counts, 0, 20))
    await sink.apply(steps(store, words))
    await sink.apply(steps(store, counts, 20))
    assert await store.read(videos) == known(store, come_to(counts, words))


async def test_positions_and_rows_survive_reconnecting(
    store: Store, sink: Sink, open_sink: OpenSink
) -> None:
    videos = some_videos(3)
    history = engagement(videos, 30)
    await sink.apply(steps(store, history, 0, 20))
    again = await open_sink()
    await again.prepare(store.projections)
    assert await position(again, store) == 20
    await again.apply(steps(store, history, 20))
    assert await store.read(videos) == known(store, come_to(history))


async def test_several_sinks_prepare_at_once(store: Store, open_sink: OpenSink) -> None:
    sinks = [await open_sink() for _ in range(3)]
    await asyncio.gather(*(sink.prepare(store.projections) for sink in sinks))
    history = engagement(some_videos(1), 5)
    await sinks[0].apply(steps(store, history))
    assert await position(sinks[1], store) == history.end


async def test_a_runner_that_was_overtaken_changes_nothing(
    store: Store, sink: Sink, open_sink: OpenSink
) -> None:
    videos = some_videos(3)
    history = engagement(videos, 40)
    overtaken = await open_sink()
    await overtaken.apply(steps(store, history, 0, 10))
    await sink.apply(steps(store, history, 10, 30))
    with pytest.raises(PositionMoved):
        await overtaken.apply(steps(store, history, 10, 22))
    await sink.apply(steps(store, history, 30))
    assert await store.read(videos) == known(store, come_to(history))
    assert await position(sink, store) == history.end


async def test_a_store_that_is_away_is_unavailable_and_comes_back(
    store: Store, sink: Sink, link: Link
) -> None:
    videos = some_videos(2)
    history = engagement(videos, 20)
    await link.cut()
    with pytest.raises(StoreUnavailable):
        await sink.apply(steps(store, history))
    with pytest.raises(StoreUnavailable):
        await sink.positions(store.projections)
    with pytest.raises(StoreUnavailable):
        await sink.prepare(store.projections)
    await link.open()
    await sink.apply(steps(store, history))
    assert await store.read(videos) == known(store, come_to(history))


class NoDeadLetters:
    """Implements ``projections.ports.DeadLetters`` where none may come."""

    async def put(
        self, record: LogRecord, reader: str, error: BaseException, parked: Sequence[str] = ()
    ) -> None:
        raise AssertionError(f"{reader} refused {record} {parked}") from error


def runner(store: Store, sink: Sink, keys: MemoryKeyRing) -> Runner:
    return Runner(
        "contract",
        store.projections,
        sink,
        builds=ChosenBuilds(),
        keys=keys,
        dead_letters=NoDeadLetters(),
        parking=MemoryParking(),
        dead_letter_cap=1.0,
    )


@pytest.mark.parametrize("number", range(6))
async def test_a_lost_answer_counts_once(store: Store, sink: Sink, link: Link, number: int) -> None:
    """The runner tries again until the store has it, whichever answer of the store was lost."""
    videos = some_videos(3)
    history = engagement(videos, 40)
    keys = MemoryKeyRing.loaded(ADA, BEN)
    reader = runner(store, sink, keys)
    await reader.assign([ENGAGEMENT])
    link.lose_answer(number)
    for begins, ends in ((0, 15), (15, 30), (30, history.end)):
        await asyncio.wait_for(reader.apply([history.batch(keys, begins, ends)]), DEADLINE_S)
    link.lose_nothing()
    assert await store.read(videos) == known(store, come_to(history))
    assert await position(sink, store) == history.end


@pytest.mark.parametrize("seed", range(3))
async def test_crashes_and_redeliveries_in_any_batches_equal_one_batch(
    store: Store, open_sink: OpenSink, link: Link, seed: int
) -> None:
    """Every life of the reader ends in the middle of a step, and the next forms other batches."""
    chance = random.Random(seed)
    videos = some_videos(6)
    topics = {topic for projection in store.projections for topic in projection.topics()}
    both = (engagement(videos, 150, seed), descriptions(videos, 30, seed))
    histories = [history for history in both if history.source.topic in topics]
    keys = MemoryKeyRing.loaded(ADA, BEN)
    for life in range(LIVES):
        link.lose_nothing()
        sink = await open_sink()
        reader = runner(store, sink, keys)
        await reader.start()
        if life < LIVES - 1:
            link.lose_answer(chance.randrange(25))
        await live(reader, histories, keys, chance, link)
    assert await store.read(videos) == known(store, come_to(*histories))
    for history in histories:
        assert await position(sink, store, history.source) == history.end


async def live(
    reader: Runner,
    histories: Sequence[History],
    keys: MemoryKeyRing,
    chance: random.Random,
    link: Link,
) -> None:
    """Read on from the store's positions until everything is read or an answer is lost."""
    reading = asyncio.ensure_future(read_on(reader, histories, keys, chance))
    crash = asyncio.ensure_future(link.lost.wait())
    await asyncio.wait({reading, crash}, return_when=asyncio.FIRST_COMPLETED, timeout=DEADLINE_S)
    assert reading.done() or crash.done()
    reading.cancel()
    crash.cancel()
    results = await asyncio.gather(reading, crash, return_exceptions=True)
    assert not [r for r in results if isinstance(r, Exception)]


async def read_on(
    reader: Runner, histories: Sequence[History], keys: MemoryKeyRing, chance: random.Random
) -> None:
    starts = await reader.assign([history.source for history in histories])
    while unread := [h for h in histories if starts[h.source] < h.end]:
        batches = []
        for history in chance.sample(unread, chance.randint(1, len(unread))):
            begins = starts[history.source]
            ends = min(begins + chance.randrange(1, 40), history.end)
            # Kafka may deliver again what the reader has seen.
            again = max(0, begins - chance.choice((0, 0, 10)))
            batches.append(history.batch(keys, again, ends))
        await reader.apply(batches)
        starts.update({batch.source: batch.ends for batch in batches})
