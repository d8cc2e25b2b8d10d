"""Fetches as they come from Kafka: read anew each time, committed records only."""

from __future__ import annotations

import struct

import lz4.frame  # type: ignore[import-untyped]
import pytest
from aiokafka.consumer import fetcher
from aiokafka.record._crecords import default_records
from aiokafka.record.control_record import ABORT_MARKER, COMMIT_MARKER
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition as KafkaTopicPartition

from events.base import TopicPartition
from events.errors import Unavailable
from projections.batches import Batch
from projections.fetching import Pace
from projections.unpacking import Fetched, SharedRecords

PLACE = KafkaTopicPartition("events.engagement", 3)
MAGIC, LZ4 = 2, 3
READ_COMMITTED = 1
#: Where a batch keeps its attributes, and which of them says that it holds a marker.
ATTRIBUTES_AT, CONTROL = 21, 0x20


def batch(first: int, *values: str, producer: int = 1, codec: int = LZ4) -> bytes:
    """Return a batch of a transaction, as the broker sends it."""
    builder = DefaultRecordBatchBuilder(MAGIC, codec, True, producer, 0, 0, 1 << 20)
    for number, value in enumerate(values):
        headers = [("ce_type", b"video.viewed.v1"), ("empty", None)]
        builder.append(number, 1_000 + number, b"key", value.encode(), headers)
    return _at(first, bytearray(builder.build()))


def marker(offset: int, kind: int, producer: int = 1) -> bytes:
    """Return the batch that ends a transaction."""
    builder = DefaultRecordBatchBuilder(MAGIC, 0, True, producer, 0, 0, 1 << 20)
    builder.append(0, 1_000, struct.pack(">HH", 0, kind), b"\0" * 6, [])
    made = bytearray(builder.build())
    made[ATTRIBUTES_AT + 1] |= CONTROL
    return _at(offset, made)


def _at(first: int, made: bytearray) -> bytes:
    made[:8] = first.to_bytes(8, "big")
    return bytes(made)


def fetch(
    data: bytes, begins: int = 0, aborted: list[tuple[int, int]] | None = None, check: bool = False
) -> Fetched:
    """Return what the client makes of bytes from the broker."""
    kept = fetcher.MemoryRecords(data)
    whole = fetcher.PartitionRecords(
        PLACE, kept, aborted, begins, Pace(0.0), None, check, READ_COMMITTED
    )
    (fetched,) = whole
    assert whole.next_fetch_offset == fetched.ends, "the client would go on elsewhere"
    assert isinstance(fetched, Fetched)
    return fetched


def test_all_records_of_a_fetch_are_read_as_often_as_wanted() -> None:
    fetched = fetch(batch(0, "a", "b") + marker(2, COMMIT_MARKER.type_) + batch(3, "c"))
    assert (fetched.source, fetched.begins, fetched.ends) == (TopicPartition(*PLACE), 0, 4)
    first = list(fetched)
    assert [(r.offset, r.key, r.value, r.timestamp_ms) for r in first] == [
        (0, "key", b"a", 1_000),
        (1, "key", b"b", 1_001),
        (3, "key", b"c", 1_000),
    ]
    assert first[0].headers == {"ce_type": b"video.viewed.v1"}
    assert list(fetched) == first


def test_reading_that_was_left_halfway_starts_from_the_beginning() -> None:
    fetched = fetch(batch(0, "a", "b", "c"))
    assert next(iter(fetched)).value == b"a"
    assert [record.value for record in fetched] == [b"a", b"b", b"c"]


def test_records_of_an_aborted_transaction_are_passed_over_each_time() -> None:
    data = (
        batch(0, "lost", producer=7)
        + batch(1, "kept", producer=8)
        + marker(2, ABORT_MARKER.type_, producer=7)
        + marker(3, COMMIT_MARKER.type_, producer=8)
        + batch(4, "later", producer=7)
    )
    fetched = fetch(data, aborted=[(7, 0)])
    for _ in range(2):
        assert [record.value for record in fetched] == [b"kept", b"later"]
    assert fetched.ends == 5


def test_a_fetch_of_nothing_but_a_marker_still_leads_on() -> None:
    fetched = fetch(marker(9, COMMIT_MARKER.type_), begins=9)
    assert (list(fetched), fetched.ends) == ([], 10)


def test_records_before_the_offset_asked_for_are_left_out() -> None:
    """The broker sends whole batches, from the one that holds the offset on."""
    fetched = fetch(batch(0, "a", "b", "c"), begins=2)
    assert [record.value for record in fetched] == [b"c"]
    assert (fetched.begins, fetched.ends) == (2, 3)


def test_a_batch_that_was_cut_off_by_the_size_of_the_fetch_is_not_counted() -> None:
    fetched = fetch(batch(0, "a") + batch(1, "b")[:-3])
    assert ([record.value for record in fetched], fetched.ends) == ([b"a"], 1)


def test_a_wrong_checksum_is_found_out() -> None:
    data = bytearray(batch(0, "abcdefgh", codec=0))
    data[-1] ^= 0xFF
    with pytest.raises(Unavailable, match="CRC"):
        list(fetch(bytes(data), check=True))


def test_other_consumers_get_records_as_ever() -> None:
    kept = fetcher.MemoryRecords(batch(0, "a", "b"))
    records = fetcher.PartitionRecords(PLACE, kept, [], 0, None, None, False, READ_COMMITTED)
    assert [(record.topic, record.offset, record.value) for record in records] == [
        (PLACE.topic, 0, b"a"),
        (PLACE.topic, 1, b"b"),
    ]


def test_records_tell_what_else_they_hold_when_asked() -> None:
    (record,) = fetch(batch(0, "a"))
    assert (record.key, record.timestamp_ms, record.stored_name) == (
        "key",
        1_000,
        b"video.viewed.v1",
    )


def test_batches_are_decompressed_by_the_faster_library() -> None:
    assert default_records.lz4_decode is lz4.frame.decompress
    assert [record.value for record in fetch(batch(0, "a" * 100_000))] == [b"a" * 100_000]


def values(batch: Batch) -> list[bytes]:
    return [record.value for record in batch.records]


def test_readers_of_a_topic_get_the_same_records_and_who_comes_again_new_ones() -> None:
    fetched = fetch(batch(0, "a", "b") + batch(2, "c"))
    shared = SharedRecords({PLACE.topic: 2})
    first, second, third = (list(fetched.batch(shared).records) for _ in range(3))
    assert [record.value for record in first] == [b"a", b"b", b"c"]
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert third == first
    assert not any(one is other for one, other in zip(first, third, strict=True))


def test_readers_share_what_came_in_different_fetches() -> None:
    """The broker sends the same batches, but not always as many of them."""
    shared = SharedRecords({PLACE.topic: 2})
    ahead = list(fetch(batch(0, "a") + batch(1, "b", "c")).batch(shared).records)
    (behind,) = fetch(batch(1, "b", "c"), begins=2).batch(shared).records
    assert behind is ahead[2]


def test_what_was_held_longest_goes_first() -> None:
    shared = SharedRecords({PLACE.topic: 2}, most=3)
    fetches = [fetch(batch(start, "a", "b"), begins=start) for start in (0, 2)]
    before = [list(fetched.batch(shared).records) for fetched in fetches]
    after = [list(fetched.batch(shared).records) for fetched in reversed(fetches)]
    assert after[0][0] is before[1][0]
    assert after[1][0] is not before[0][0]
    assert after[1] == before[0]


def test_another_batch_at_the_same_place_is_not_taken_for_the_first() -> None:
    """As in a log that was restored from an older copy and written to again."""
    shared = SharedRecords({PLACE.topic: 2})
    assert values(fetch(batch(0, "a")).batch(shared)) == [b"a"]
    assert values(fetch(batch(0, "b")).batch(shared)) == [b"b"]


def test_shared_records_of_an_aborted_transaction_are_passed_over_by_each_reader() -> None:
    shared = SharedRecords({PLACE.topic: 2})
    data = (
        batch(0, "lost", producer=7)
        + batch(1, "kept", producer=8)
        + marker(2, ABORT_MARKER.type_, producer=7)
    )
    for _ in range(2):
        assert values(fetch(data, aborted=[(7, 0)]).batch(shared)) == [b"kept"]


def test_all_readers_hear_that_the_log_cannot_be_read() -> None:
    """R1: who took what came before for the whole batch would leave the rest out for good."""
    shared = SharedRecords({PLACE.topic: 2})
    data = bytearray(batch(0, "a") + batch(1, "b", codec=0))
    data[-1] ^= 0xFF
    for _ in range(2):
        read = iter(fetch(bytes(data), check=True).batch(shared).records)
        assert next(read).value == b"a"
        with pytest.raises(Unavailable, match="CRC"):
            next(read)


def test_a_single_reader_shares_nothing() -> None:
    assert SharedRecords.among([["events.videos"]]) is None
    assert SharedRecords.among([["events.videos"], ["events.videos"]]) is not None
