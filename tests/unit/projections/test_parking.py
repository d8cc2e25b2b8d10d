"""A key of which a record cannot be digested waits, where the projection says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from events.base import Event
from events.codec import LogRecord
from events.follows import UserFollowed, UserUnfollowed
from projections import patience
from projections.batches import Batch
from projections.burying import TooManyDeadLetters
from projections.declaration import AfterPoison, Key, Projection
from projections.folding import RowChange
from projections.ports import StoreUnavailable
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, CLEO, log_record
from tests.unit.projections.test_runner import (
    COUNTING,
    COUNTS,
    OTHER,
    SOURCE,
    Bench,
    batch,
    count_again,
    follow,
)

PARKING = replace(COUNTING, after_poison=AfterPoison.PARK)
LENIENT = replace(
    COUNTING, name="second", tables=(replace(COUNTS, name="second"),), evolve=count_again
)


class Died(BaseException):
    """The process was killed."""


def of(key: str, record: LogRecord) -> LogRecord:
    return replace(record, key=key)


def poison(offset: int, key: str) -> LogRecord:
    return of(key, follow(offset, CLEO))


def sound(offset: int, key: str) -> LogRecord:
    return of(key, follow(offset))


def history(*records: LogRecord) -> Batch:
    return Batch(SOURCE, records[0].offset, records[-1].offset + 1, records)


async def started(*projections: Projection, cap: float = 1.0) -> Bench:
    bench = Bench(*(projections or (PARKING,)), cap=cap)
    await bench.runner.start()
    await bench.runner.assign([SOURCE, OTHER])
    return bench


async def test_the_rest_of_the_key_waits_and_other_keys_flow_on() -> None:
    bench = await started()
    await bench.runner.apply(
        [history(sound(0, "a"), poison(1, "a"), sound(2, "b"), sound(3, "a"), sound(4, "b"))]
    )
    await bench.runner.apply([history(sound(5, "a"), sound(6, "b"))])
    assert bench.follows() == 4
    assert bench.runner.position(SOURCE) == 7
    assert bench.dead_letters.kept == [
        (1, "counting", "ValueError"),
        (3, "counting", "Parked"),
        (5, "counting", "Parked"),
    ]
    assert bench.dead_letters.parked == [(at, ("counting",)) for at in (1, 3, 5)]


async def test_the_same_key_of_another_partition_is_another_key() -> None:
    bench = await started()
    await bench.runner.apply([history(poison(0, "a"))])
    other = [of("a", follow(0, source=OTHER))]
    await bench.runner.apply([batch(0, 1, other, source=OTHER)])
    assert bench.follows() == 1


async def test_a_projection_that_goes_on_is_not_kept_by_one_that_parks() -> None:
    bench = await started(PARKING, LENIENT)
    await bench.runner.apply([history(poison(0, "a"), sound(1, "a"))])
    assert bench.follows() == 0
    assert bench.sink.content.rows["second"][BEN,]["follows"] == 1
    assert bench.dead_letters.parked == [(0, ("counting",)), (1, ("counting",)), (0, ())]


async def test_a_record_that_the_store_refuses_has_its_key_wait() -> None:
    bench = await started()

    def refuse(rows: Mapping[str, Mapping[Key, RowChange]]) -> None:
        if (ADA,) in rows.get("counts", {}):
            raise RuntimeError("the store has something against Ada")

    bench.sink.refuse = refuse
    refused = of("a", follow(1, ADA))
    await bench.runner.apply([history(sound(0, "a"), refused, sound(2, "a"), sound(3, "b"))])
    assert bench.follows() == 2
    assert bench.dead_letters.kept == [(1, "counting", "RuntimeError"), (2, "counting", "Parked")]
    assert bench.parking.keys["counting", SOURCE] == {"a": 1}


async def test_a_record_that_cannot_be_decoded_has_its_key_wait_for_whoever_reads_its_type() -> (
    None
):
    unfollows = replace(PARKING, name="unfollows", events=(UserUnfollowed,))
    bench = await started(PARKING, unfollows, LENIENT)
    await bench.runner.apply([history(replace(sound(0, "a"), value=b"{"), sound(1, "a"))])
    assert bench.follows() == 0
    assert bench.sink.content.rows["second"][BEN,]["follows"] == 1
    assert bench.dead_letters.kept == [(0, "bench", "UndecodableRecord"), (1, "counting", "Parked")]
    assert bench.dead_letters.parked[0] == (0, ("counting",))


async def test_what_a_projection_does_not_read_is_passed_over_also_of_a_key_that_waits() -> None:
    bench = await started(replace(PARKING, events=(UserFollowed,)))
    other: Event = UserUnfollowed(follower_id=ADA, creator_id=BEN)
    passed = of("a", log_record(other, MemoryKeyRing(), offset=1, source=SOURCE))
    await bench.runner.apply([history(poison(0, "a"), passed)])
    assert bench.dead_letters.kept == [(0, "counting", "ValueError")]
    assert bench.runner.position(SOURCE) == 2


async def test_another_process_knows_before_its_first_batch_what_waits() -> None:
    bench = await started()
    await bench.runner.apply([history(poison(0, "a"), sound(1, "b"))])
    bench.runner = bench.new_runner()
    await bench.runner.start()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([history(sound(2, "a"), sound(3, "b"))])
    assert bench.follows() == 2
    assert bench.dead_letters.kept[1:] == [(2, "counting", "Parked")]


async def test_a_death_between_the_note_and_the_letter_leaves_neither_a_gap_nor_a_lost_letter() -> (
    None
):
    """Even if the code of the next life digests the record: its key is known to wait."""
    bench = await started()

    def die() -> None:
        bench.dead_letters.before = lambda: None
        raise Died

    bench.dead_letters.before = die
    records = [sound(0, "a"), poison(1, "a"), sound(2, "a"), sound(3, "b")]
    with pytest.raises(Died):
        await bench.runner.apply([history(*records)])
    assert not bench.dead_letters.kept
    records[1] = sound(1, "a")
    bench.runner = bench.new_runner()
    assert await bench.runner.assign([SOURCE]) == {SOURCE: 0}
    await bench.runner.apply([history(*records)])
    assert bench.follows() == 2
    assert bench.dead_letters.kept == [(1, "counting", "Parked"), (2, "counting", "Parked")]


async def test_a_death_before_the_position_moved_buries_again_and_applies_nothing() -> None:
    bench = await started()
    await bench.runner.apply([history(sound(0, "a"))])

    def die() -> None:
        raise Died

    bench.sink.before = die
    with pytest.raises(Died):
        await bench.runner.apply([history(poison(1, "a"), sound(2, "a"))])
    bench.sink.before = lambda: None
    bench.runner = bench.new_runner()
    await bench.runner.assign([SOURCE])
    await bench.runner.apply([history(sound(1, "a"), sound(2, "a"))])
    assert bench.follows() == 1
    assert [offset for offset, _, _ in bench.dead_letters.kept] == [1, 2, 1, 2]


async def test_a_released_key_flows_on_once_the_runner_has_looked_again() -> None:
    bench = await started()
    await bench.runner.apply([history(poison(0, "a"), sound(1, "a"))])
    bench.parking.keys.clear()
    async with bench.runner.standing:
        await bench.runner.reload()
    await bench.runner.apply([history(sound(2, "a"))])
    assert bench.follows() == 1


async def test_sound_records_that_wait_do_not_count_towards_the_cap() -> None:
    bench = await started(cap=0.1)
    await bench.runner.apply([history(poison(0, "a"), *(sound(at, "a") for at in range(1, 400)))])
    assert len(bench.dead_letters.kept) == 400
    with pytest.raises(TooManyDeadLetters):
        await bench.runner.apply([history(*(poison(at, str(at)) for at in range(400, 600)))])


async def test_nothing_is_asked_where_no_projection_parks() -> None:
    bench = await started(COUNTING)
    await bench.runner.apply([history(poison(0, "a"), sound(1, "a"))])
    assert bench.follows() == 1
    assert bench.parking.asked == 0


async def test_notes_that_cannot_be_written_stop_everything_until_they_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "_FIRST_RETRY_S", 0.001)
    bench = await started()
    times, park = [StoreUnavailable("away")] * 3, bench.parking.park

    async def sometimes(build: Projection, record: LogRecord) -> None:
        if times:
            raise times.pop()
        await park(build, record)

    monkeypatch.setattr(bench.parking, "park", sometimes)
    await bench.runner.apply([history(poison(0, "a"), sound(1, "a"))])
    assert bench.follows() == 0
    assert len(bench.dead_letters.kept) == 2
