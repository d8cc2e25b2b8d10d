"""The live runner: each step once, in order, whatever comes twice or cannot be digested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from events.base import Event, Id, Recorded, TopicPartition
from events.codec import LogRecord
from events.comments import CommentPosted
from events.follows import UserFollowed, UserUnfollowed
from projections import patience
from projections.batches import Batch
from projections.burying import TooManyDeadLetters
from projections.declaration import Change, Increment, Key, Projection, Store, Table
from projections.folding import RowChange
from projections.ports import StoreUnavailable
from projections.runner import BatchMissing, ChosenBuilds, Runner
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, CLEO, COMMENT, VIDEO, log_record
from tests.unit.projections.memory import MemoryDeadLetters, MemoryParking, MemorySink

SOURCE = TopicPartition("events.follows", 0)
OTHER = TopicPartition("events.follows", 1)
COUNTS = Table("counts", {"id": "uuid", "follows": "bigint DEFAULT 0"}, key=("id",))
TEXTS = Table("texts", {"id": "text", "seen": "bigint DEFAULT 0"}, key=("id",))


def count(recorded: Recorded) -> Iterable[Increment]:
    event = recorded.event
    assert isinstance(event, UserFollowed | UserUnfollowed)
    if event.creator_id == CLEO:
        raise ValueError("nobody follows Cleo")
    amount = 1 if isinstance(event, UserFollowed) else -1
    yield Increment("counts", (event.creator_id,), {"follows": amount})


def count_again(recorded: Recorded) -> Iterable[Change]:
    return [replace(change, table="second") for change in count(recorded)]


def read_text(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    assert isinstance(event, CommentPosted)
    yield Increment("texts", (event.text,), {"seen": 1})


COUNTING = Projection(
    "counting", 1, Store.POSTGRES, (UserFollowed, UserUnfollowed), count, (COUNTS,)
)
READING = Projection("reading", 1, Store.POSTGRES, (CommentPosted,), read_text, (TEXTS,))


class PausableBuilds(ChosenBuilds):
    """Builds of which some do not run."""

    def __init__(self) -> None:
        self.paused: set[str] = set()

    async def running(self, projections: Sequence[Projection]) -> Sequence[Projection]:
        return [projection for projection in projections if projection.name not in self.paused]


class Bench:
    """A runner with its store."""

    def __init__(self, *projections: Projection, cap: float = 1.0) -> None:
        self.projections = projections or (COUNTING,)
        self.sink = MemorySink(self.projections)
        self.dead_letters = MemoryDeadLetters()
        self.parking = MemoryParking()
        self.keys = MemoryKeyRing.loaded(ADA)
        self.builds = PausableBuilds()
        self.cap = cap
        self.runner = self.new_runner()

    def new_runner(self) -> Runner:
        return Runner(
            "bench",
            self.projections,
            self.sink,
            builds=self.builds,
            keys=self.keys.for_reader(),
            dead_letters=self.dead_letters,
            parking=self.parking,
            dead_letter_cap=self.cap,
        )

    def follows(self, user_id: str = BEN) -> float:
        row = self.sink.content.rows["counts"].get((user_id,))
        return 0 if row is None else row["follows"]


def follow(offset: int, creator_id: str = BEN, source: TopicPartition = SOURCE) -> LogRecord:
    event = UserFollowed(follower_id=ADA, creator_id=creator_id)
    return log_record(event, MemoryKeyRing(), offset=offset, source=source)


def batch(
    begins: int,
    ends: int,
    records: Sequence[LogRecord] | None = None,
    source: TopicPartition = SOURCE,
) -> Batch:
    made = [follow(offset, source=source) for offset in range(begins, ends)]
    return Batch(source, begins, ends, made if records is None else records)


async def test_batches_move_rows_and_position_on() -> None:
    bench = Bench()
    assert await bench.runner.assign([SOURCE, OTHER]) == {SOURCE: 0, OTHER: 0}
    await bench.runner.apply([batch(0, 3)])
    await bench.runner.apply([batch(3, 4)])
    await bench.runner.apply([batch(0, 2, source=OTHER)])
    assert bench.follows() == 6
    assert bench.runner.position(SOURCE) == 4
    assert bench.runner.position(OTHER) == 2
    assert bench.runner.applied == 6


async def test_a_batch_without_records_moves_the_position_on() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 5, [])])
    assert bench.runner.position(SOURCE) == 5
    assert bench.sink.kept["counting"][SOURCE] == 5


@pytest.mark.parametrize("again", [(0, 3), (1, 2), (0, 5), (2, 4), (3, 5)])
async def test_records_that_come_again_are_passed_over(again: tuple[int, int]) -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 3)])
    await bench.runner.apply([batch(*again)])
    assert bench.follows() == max(3, again[1])
    assert bench.runner.position(SOURCE) == max(3, again[1])


async def test_a_runner_starts_where_the_store_stands() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 3)])
    bench.runner = bench.new_runner()
    assert await bench.runner.assign([SOURCE]) == {SOURCE: 3}
    await bench.runner.apply([batch(1, 5)])
    assert bench.follows() == 5


async def test_a_gap_between_batches_is_never_skipped() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 3)])
    with pytest.raises(BatchMissing):
        await bench.runner.apply([batch(4, 6)])
    assert bench.follows() == 3


async def test_a_partition_that_was_never_assigned_starts_at_its_beginning() -> None:
    bench = Bench()
    with pytest.raises(BatchMissing):
        await bench.runner.apply([batch(1, 2)])


async def test_each_projection_is_brought_on_from_its_own_position() -> None:
    second = replace(
        COUNTING, name="second", tables=(replace(COUNTS, name="second"),), evolve=count_again
    )
    bench = Bench(COUNTING, second)
    bench.sink.kept["counting"][SOURCE] = 4
    assert await bench.runner.assign([SOURCE]) == {SOURCE: 0}
    await bench.runner.apply([batch(0, 3)])
    assert bench.sink.kept == {"counting": {SOURCE: 4}, "second": {SOURCE: 3}}
    await bench.runner.apply([batch(3, 6)])
    assert bench.follows() == 2
    assert bench.sink.content.rows["second"][BEN,]["follows"] == 6


async def test_a_record_that_cannot_be_decoded_is_dead_lettered_and_the_rest_flows_on() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE])
    broken = replace(follow(1), value=b"{")
    unnamed = replace(follow(2), headers={})
    await bench.runner.apply([batch(0, 4, [follow(0), broken, unnamed, follow(3)])])
    assert bench.follows() == 2
    assert bench.runner.position(SOURCE) == 4
    assert bench.dead_letters.kept == [
        (1, "bench", "UndecodableRecord"),
        (2, "bench", "UndecodableRecord"),
    ]


async def test_a_record_that_a_read_model_chokes_on_is_dead_lettered_under_its_name() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 3, [follow(0), follow(1, CLEO), follow(2)])])
    assert bench.follows() == 2
    assert bench.dead_letters.kept == [(1, "counting", "ValueError")]


async def test_what_nobody_reads_is_not_even_decoded() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE])
    strange = replace(follow(0), headers={"ce_type": b"video.deleted.v1"}, value=b"{")
    await bench.runner.apply([batch(0, 1, [strange])])
    assert bench.runner.position(SOURCE) == 1
    assert not bench.dead_letters.kept


async def test_too_many_dead_letters_stop_the_runner_before_the_position_moves() -> None:
    bench = Bench(cap=0.1)
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 150)])
    rotten = [replace(follow(offset), value=b"{") for offset in range(150, 200)]
    with pytest.raises(TooManyDeadLetters):
        await bench.runner.apply([batch(150, 200, rotten)])
    assert bench.sink.kept["counting"][SOURCE] == 150


async def test_a_few_dead_letters_among_few_records_mean_nothing_yet() -> None:
    bench = Bench(cap=0.1)
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 2, [replace(follow(0), value=b"{"), follow(1)])])
    assert bench.follows() == 1


async def test_personal_data_is_decrypted_and_a_destroyed_key_shows_the_erased_form() -> None:
    bench = Bench(READING)
    source = TopicPartition("events.comments", 0)
    posted = CommentPosted(
        comment_id=COMMENT, video_id=VIDEO, author_id=ADA, parent_comment_id=None, text="Hello"
    )
    records = [log_record(posted, bench.keys, offset=offset, source=source) for offset in (0, 1)]
    await bench.runner.assign([source])
    await bench.runner.apply([Batch(source, 0, 1, records[:1])])
    bench.keys.destroy(ADA)
    bench.runner = bench.new_runner()
    await bench.runner.assign([source])
    await bench.runner.apply([Batch(source, 1, 2, records[1:])])
    assert set(bench.sink.content.rows["texts"]) == {("Hello",), (f"erased:{ADA}",)}


def failing(times: int, error: type[Exception] = StoreUnavailable) -> Callable[[], None]:
    left = [error("away")] * times

    def fail() -> None:
        if left:
            raise left.pop()

    return fail


async def test_a_store_that_is_away_is_tried_until_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "_FIRST_RETRY_S", 0.001)
    bench = Bench()
    await bench.runner.assign([SOURCE])
    bench.sink.before = failing(3)
    await bench.runner.apply([batch(0, 3)])
    assert bench.follows() == 3


async def test_an_answer_that_was_lost_does_not_apply_a_step_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "_FIRST_RETRY_S", 0.001)
    bench = Bench()
    await bench.runner.assign([SOURCE])
    bench.sink.after = failing(1)
    await bench.runner.apply([batch(0, 3)])
    await bench.runner.apply([batch(3, 4)])
    assert bench.follows() == 4


async def test_partitions_are_brought_on_together() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE, OTHER])
    await bench.runner.apply([batch(0, 3), batch(0, 2, source=OTHER)])
    await bench.runner.apply([batch(1, 4), batch(2, 2, source=OTHER)])
    assert bench.follows() == 6
    assert (bench.runner.position(SOURCE), bench.runner.position(OTHER)) == (4, 2)


async def test_an_answer_that_was_lost_between_two_steps_applies_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "_FIRST_RETRY_S", 0.001)
    bench = Bench()
    await bench.runner.assign([SOURCE, OTHER])
    bench.sink.after = failing(1)
    await bench.runner.apply([batch(0, 3), batch(0, 2, source=OTHER)])
    assert bench.follows() == 5


async def test_a_record_that_the_store_refuses_is_dead_lettered_and_the_rest_flows_on() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE, OTHER])

    def refuse(rows: Mapping[str, Mapping[Key, RowChange]]) -> None:
        if (ADA,) in rows.get("counts", {}):
            raise RuntimeError("the store has something against Ada")

    bench.sink.refuse = refuse
    records = [follow(0), follow(1, ADA), follow(2)]
    await bench.runner.apply([batch(0, 3, records), batch(0, 2, source=OTHER)])
    await bench.runner.apply([batch(3, 5)])
    assert bench.follows() == 6
    assert bench.dead_letters.kept == [(1, "counting", "RuntimeError")]
    assert bench.runner.position(SOURCE) == bench.sink.kept["counting"][SOURCE] == 5


async def test_another_runner_that_was_faster_is_not_repeated() -> None:
    bench = Bench()
    slow, fast = bench.runner, bench.new_runner()
    for each in (slow, fast):
        await each.assign([SOURCE])
    await fast.apply([batch(0, 3)])
    await slow.apply([batch(0, 5)])
    assert bench.follows() == 5
    assert slow.position(SOURCE) == 5


async def test_a_store_that_went_back_is_never_brought_on_over_a_gap() -> None:
    bench = Bench()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 3)])
    bench.sink.kept["counting"][SOURCE] = 1
    with pytest.raises(BatchMissing):
        await bench.runner.apply([batch(3, 5)])
    assert bench.sink.kept["counting"][SOURCE] == 1


async def test_old_versions_of_an_event_are_read_too() -> None:
    class Renamed(Event):
        """A test's event in its second version."""

        name = "user.renamed"
        version = 2
        domain = "users"
        user_id: Id

    projection = Projection("names", 1, Store.POSTGRES, (Renamed,), lambda _: [])
    bench = Bench(projection)
    source = TopicPartition("events.users", 0)
    await bench.runner.assign([source])
    old = replace(
        follow(0, source=source), headers={**follow(0).headers, "ce_type": b"user.renamed.v1"}
    )
    await bench.runner.apply([Batch(source, 0, 1, [old])])
    assert bench.dead_letters.kept == [(0, "bench", "UnknownEventType")]


def test_a_runner_reads_the_topics_of_its_projections() -> None:
    assert Bench(COUNTING, READING).runner.topics() == {"events.follows", "events.comments"}


async def test_a_topic_that_nobody_who_runs_reads_goes_by() -> None:
    """A paused projection may be the only one that reads a topic; the others go on."""
    bench = Bench()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([batch(0, 3)])
    bench.builds.paused = {COUNTING.name}
    async with bench.runner.standing:
        await bench.runner.reload()
    for begins in (3, 5):
        await bench.runner.apply([batch(begins, begins + 2)])
    assert bench.runner.received(SOURCE) == 7
    assert bench.follows() == 3
    bench.builds.paused = set()
    async with bench.runner.standing:
        with pytest.raises(BatchMissing):
            await bench.runner.reload()
