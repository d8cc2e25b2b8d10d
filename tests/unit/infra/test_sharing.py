"""One unpacking of the log for several readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pytest

from events.base import TopicPartition
from events.codec import LogRecord
from events.errors import Unavailable
from infra.rebuild.sharing import shared
from projections.batches import Batch

SOURCE = TopicPartition("events.videos", 2)


class Unpacked(Iterable[LogRecord]):
    """Three records, made whenever they are iterated over."""

    def __init__(self) -> None:
        self.made = 0

    def __iter__(self) -> Iterator[LogRecord]:
        for offset in range(3):
            self.made += 1
            yield LogRecord(SOURCE, offset, "", b"", {}, 0)


def batch() -> tuple[Batch, Unpacked]:
    records = Unpacked()
    return Batch(SOURCE, 0, 3, records), records


def test_readers_side_by_side_get_the_same_records() -> None:
    whole, records = batch()
    one, two = (iter(share.records) for share in shared(whole, 2))
    fast = list(islice(one, 2))
    assert [next(two) is fast[0], next(two) is fast[1]] == [True, True]
    assert next(two) is next(one)
    assert records.made == 3


def test_who_reads_again_gets_everything_anew() -> None:
    whole, records = batch()
    one, two = shared(whole, 2)
    before = list(one.records)
    again = list(one.records)
    assert [record.offset for record in again] == [0, 1, 2]
    assert again[0] is not before[0]
    assert [a is b for a, b in zip(two.records, before, strict=True)] == [True] * 3
    assert records.made == 6


def test_all_readers_hear_that_the_log_cannot_be_read() -> None:
    """R1: who took what came before for the whole batch would leave the rest out for good."""

    def torn() -> Iterator[LogRecord]:
        yield LogRecord(SOURCE, 0, "", b"", {}, 0)
        raise Unavailable("a checksum is wrong")

    for share in shared(Batch(SOURCE, 0, 3, torn()), 2):
        read = iter(share.records)
        assert next(read).offset == 0
        with pytest.raises(Unavailable, match="checksum"):
            next(read)


def test_a_single_reader_has_the_batch_to_itself() -> None:
    whole, _ = batch()
    assert shared(whole, 1) == [whole]
