"""Reactions: each event dealt with, in its partition's order, and noted when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from events.base import Recorded, TopicPartition
from events.codec import LogRecord
from events.comments import CommentPosted
from events.errors import Unavailable
from events.follows import UserFollowed, UserUnfollowed
from processors import reactions
from processors.reactions import MAX_TRIES, Reaction, ReactionReader
from projections.batches import Batch
from projections.ports import StoreUnavailable
from tests.support.waiting import eventually
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, COMMENT, VIDEO, log_record
from tests.unit.projections.memory import MemoryDeadLetters

SOURCE = TopicPartition("events.follows", 0)
OTHER = TopicPartition("events.follows", 1)


class MemoryPositions:
    """Implements ``processors.ports.ReactionPositions``."""

    def __init__(self) -> None:
        self.kept: dict[TopicPartition, int] = {}
        self.away = 0

    async def load(self, reaction: str) -> Mapping[TopicPartition, int]:
        assert reaction == "greet"
        return dict(self.kept)

    async def save(self, reaction: str, source: TopicPartition, position: int) -> None:
        assert reaction == "greet"
        if self.away:
            self.away -= 1
            raise StoreUnavailable("Postgres is away")
        self.kept[source] = max(position, self.kept.get(source, 0))


class Greetings:
    """What the reaction did; ``errors`` are raised first, one a call."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []
        self.errors: list[Exception] = []
        self.started = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def react(self, recorded: Recorded) -> None:
        self.started += 1
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.seen.append((recorded.source.partition, recorded.offset))


class Bench:
    """A reader with its stores."""

    def __init__(self, concurrency: int = 1) -> None:
        self.greetings = Greetings()
        self.positions = MemoryPositions()
        self.dead_letters = MemoryDeadLetters()
        self.reaction = Reaction("greet", (UserFollowed,), self.greetings.react, concurrency)
        self.keys = MemoryKeyRing.loaded(ADA)
        self.reader = self.new_reader()

    def new_reader(self) -> ReactionReader:
        keys = self.keys.for_reader()
        return ReactionReader(self.reaction, self.positions, keys, self.dead_letters)

    async def reach(self, source: TopicPartition, position: int) -> None:
        """Wait until the reader is through with a partition up to a position."""
        await wait_for(lambda: self.reader.position(source) >= position)


async def wait_for(condition: Callable[[], bool]) -> None:
    async def look() -> bool:
        return condition()

    await eventually("the condition", look, timeout_s=10.0, poll_s=0.001)


@asynccontextmanager
async def bench(*sources: TopicPartition, concurrency: int = 1) -> AsyncIterator[Bench]:
    """Run a reader to which the partitions are assigned."""
    made = Bench(concurrency)
    await made.reader.assign(sources or [SOURCE])
    try:
        yield made
    finally:
        await made.reader.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reactions, "FIRST_RETRY_S", 0.001)


def follow(offset: int, source: TopicPartition = SOURCE) -> LogRecord:
    event = UserFollowed(follower_id=ADA, creator_id=BEN)
    return log_record(event, MemoryKeyRing(), offset=offset, source=source)


def batch(begins: int, ends: int, source: TopicPartition = SOURCE) -> Batch:
    return Batch(source, begins, ends, [follow(offset, source) for offset in range(begins, ends)])


async def test_events_are_dealt_with_in_order_and_noted() -> None:
    async with bench() as at:
        await at.reader.apply([batch(0, 2)])
        await at.reader.apply([batch(2, 3)])
        await at.reach(SOURCE, 3)
        assert at.greetings.seen == [(0, 0), (0, 1), (0, 2)]
        assert at.positions.kept == {SOURCE: 3}


async def test_events_of_other_kinds_are_passed_over() -> None:
    async with bench() as at:
        unfollowed = UserUnfollowed(follower_id=ADA, creator_id=BEN)
        other = log_record(unfollowed, MemoryKeyRing(), offset=0, source=SOURCE)
        await at.reader.apply([Batch(SOURCE, 0, 5, [other, follow(3)])])
        await at.reach(SOURCE, 5)
        assert at.greetings.seen == [(0, 3)]
        assert at.positions.kept == {SOURCE: 5}


async def test_a_new_reader_goes_on_where_the_store_stands() -> None:
    async with bench() as at:
        await at.reader.apply([batch(0, 2)])
        await at.reach(SOURCE, 2)
        await at.reader.stop()
        at.reader = at.new_reader()
        assert await at.reader.assign([SOURCE]) == {SOURCE: 2}
        await at.reader.apply([batch(1, 3)])
        await at.reach(SOURCE, 3)
        assert at.greetings.seen == [(0, 0), (0, 1), (0, 2)]


async def test_a_reaction_that_was_cut_short_starts_again() -> None:
    async with bench() as at:
        at.greetings.gate.clear()
        await at.reader.apply([batch(0, 2)])
        await wait_for(lambda: at.greetings.started == 1)
        await at.reader.stop()
        assert at.positions.kept == {}
        at.greetings.gate.set()
        at.reader = at.new_reader()
        await at.reader.assign([SOURCE])
        await at.reader.apply([batch(0, 2)])
        await at.reach(SOURCE, 2)
        assert at.greetings.seen == [(0, 0), (0, 1)]


async def test_a_partition_that_stays_goes_on_while_another_one_comes() -> None:
    async with bench(SOURCE) as at:
        at.greetings.gate.clear()
        await at.reader.apply([batch(0, 2)])
        await wait_for(lambda: at.greetings.started == 1)
        assert await at.reader.assign([SOURCE, OTHER]) == {SOURCE: 2, OTHER: 0}
        at.greetings.gate.set()
        await at.reach(SOURCE, 2)
        assert at.greetings.started == 2


async def test_a_partition_that_was_taken_away_is_worked_on_no_more() -> None:
    async with bench(SOURCE, OTHER) as at:
        at.greetings.gate.clear()
        await at.reader.apply([batch(0, 2)])
        await wait_for(lambda: at.greetings.started == 1)
        await at.reader.assign([OTHER])
        at.greetings.gate.set()
        await at.reader.apply([batch(0, 2), batch(0, 1, OTHER)])
        await at.reach(OTHER, 1)
        assert at.greetings.seen == [(1, 0)]
        assert at.reader.position(SOURCE) == 0


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_partitions_are_worked_on_side_by_side_up_to_the_concurrency(
    concurrency: int,
) -> None:
    async with bench(SOURCE, OTHER, concurrency=concurrency) as at:
        at.greetings.gate.clear()
        await at.reader.apply([batch(0, 2), batch(0, 2, OTHER)])
        await wait_for(lambda: at.greetings.started == concurrency)
        for _ in range(20):
            await asyncio.sleep(0)
        assert at.greetings.started == concurrency
        at.greetings.gate.set()
        await at.reach(SOURCE, 2)
        await at.reach(OTHER, 2)
        assert sorted(at.greetings.seen) == [(0, 0), (0, 1), (1, 0), (1, 1)]


async def test_a_reaction_that_fails_is_tried_again() -> None:
    async with bench() as at:
        at.greetings.errors = [RuntimeError("no")] * (MAX_TRIES - 1)
        await at.reader.apply([batch(0, 2)])
        await at.reach(SOURCE, 2)
        assert at.greetings.seen == [(0, 0), (0, 1)]
        assert not at.dead_letters.kept


async def test_a_reaction_that_keeps_failing_is_dead_lettered_and_the_rest_flows_on() -> None:
    async with bench() as at:
        at.greetings.errors = [RuntimeError("no")] * MAX_TRIES
        await at.reader.apply([batch(0, 2)])
        await at.reach(SOURCE, 2)
        assert at.greetings.seen == [(0, 1)]
        assert at.dead_letters.kept == [(0, "greet", "RuntimeError")]


async def test_a_server_that_is_away_uses_up_no_tries() -> None:
    async with bench() as at:
        at.greetings.errors = [Unavailable("Kafka is away")] * (MAX_TRIES + 2)
        at.positions.away = 3
        await at.reader.apply([batch(0, 1)])
        await at.reach(SOURCE, 1)
        assert at.greetings.seen == [(0, 0)]
        assert at.positions.kept == {SOURCE: 1}


Damage = Callable[[LogRecord], LogRecord]
DAMAGES: Sequence[Damage] = (
    lambda record: replace(record, value=b"{"),
    lambda record: replace(record, headers={**record.headers, "ce_time": b"x"}),
    lambda record: replace(record, headers={**record.headers, "ce_type": b"user.followed.v9"}),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=["body", "header", "unknown version"])
async def test_a_record_that_cannot_be_read_is_dead_lettered(damage: Damage) -> None:
    async with bench() as at:
        await at.reader.apply([Batch(SOURCE, 0, 2, [damage(follow(0)), follow(1)])])
        await at.reach(SOURCE, 2)
        assert at.greetings.seen == [(0, 1)]
        assert [(offset, reader) for offset, reader, _ in at.dead_letters.kept] == [(0, "greet")]


async def test_personal_data_is_decrypted_for_the_reaction() -> None:
    texts: list[str] = []

    async def read(recorded: Recorded) -> None:
        assert isinstance(recorded.event, CommentPosted)
        texts.append(recorded.event.text)

    async with bench() as at:
        at.reaction = Reaction("greet", (CommentPosted,), read)
        at.reader = at.new_reader()
        source = TopicPartition("events.comments", 0)
        posted = CommentPosted(
            comment_id=COMMENT, video_id=VIDEO, author_id=ADA, parent_comment_id=None, text="Hello"
        )
        await at.reader.assign([source])
        await at.reader.apply([Batch(source, 0, 1, [log_record(posted, at.keys, source=source)])])
        await at.reach(source, 1)
        await at.reader.stop()
    assert texts == ["Hello"]


async def test_a_reader_reads_the_topics_of_its_events() -> None:
    react: Callable[[Recorded], Awaitable[None]] = Greetings().react
    at = Bench()
    at.reaction = Reaction("greet", (UserFollowed, CommentPosted), react)
    assert at.new_reader().topics() == {"events.follows", "events.comments"}


async def test_a_long_reaction_holds_nobody_up() -> None:
    """Its own events come back meanwhile, one by one: what takes them must not seem to stall."""
    async with bench(SOURCE, OTHER, concurrency=2) as at:
        at.greetings.gate.clear()
        await at.reader.apply([batch(0, 1)])
        await wait_for(lambda: at.greetings.started == 1)
        async with asyncio.timeout(10):
            for offset in range(1, 50):
                await at.reader.apply([Batch(SOURCE, offset, offset + 1, [])])
            await at.reader.apply([batch(0, 1, OTHER)])
        await wait_for(lambda: at.greetings.started == 2)
        assert (at.reader.received(SOURCE), at.reader.position(SOURCE)) == (50, 0)
        at.greetings.gate.set()
        await at.reach(SOURCE, 50)
        assert at.positions.kept[SOURCE] == 50
