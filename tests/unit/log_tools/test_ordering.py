from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools import ordering
from infra.log_tools.ordering import Merge
from infra.log_tools.reader import Span

ONE, TWO = TopicPartition("t", 1), TopicPartition("t", 2)
NOBODY: frozenset[TopicPartition] = frozenset()


def record(source: TopicPartition, offset: int, time_ms: int) -> LogRecord:
    return LogRecord(source, offset, "", b"", {}, time_ms)


def test_nothing_is_taken_while_somebody_may_be_earlier() -> None:
    merge = Merge({ONE: Span(0, 9), TWO: Span(0, 9)})
    first = record(ONE, 0, 5)
    merge.add([first], NOBODY)
    assert merge.take() == []
    second = record(TWO, 0, 3)
    merge.add([second], NOBODY)
    assert merge.take() == [second]
    merge.add([], frozenset({TWO}))
    assert merge.take() == [first]


def test_an_empty_partition_holds_nobody_up() -> None:
    merge = Merge({ONE: Span(0, 9), TWO: Span(4, 4)})
    first = record(ONE, 0, 5)
    merge.add([first], NOBODY)
    assert merge.take() == [first]


def test_what_is_held_stays_below_its_bound() -> None:
    merge = Merge({ONE: Span(0, 10**9), TWO: Span(0, 9)})
    many = [record(ONE, number, number) for number in range(ordering.HELD_RECORDS_MAX + 10)]
    merge.add(many, NOBODY)
    assert merge.take() == many[:10]
    assert merge.ahead()[ONE] == ordering.HELD_RECORDS_MAX


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=30), st.integers(1, 7))
def test_everything_comes_once_and_each_partition_in_order(
    parts: list[tuple[int, int]], batch_size: int
) -> None:
    sources = [TopicPartition("t", number) for number in range(3)]
    records = [record(sources[p], offset, ms) for offset, (p, ms) in enumerate(parts)]
    merge = Merge({source: Span(0, 99) for source in sources})
    taken: list[LogRecord] = []
    for start in range(0, len(records), batch_size):
        merge.add(records[start : start + batch_size], NOBODY)
        taken += merge.take()
    merge.add([], frozenset(sources))
    taken += merge.take()
    for source in sources:
        mine = [each for each in records if each.source == source]
        assert [each for each in taken if each.source == source] == mine
    assert len(taken) == len(records)
    if all(mine == sorted(mine, key=lambda r: r.timestamp_ms) for mine in _by(records, sources)):
        assert [r.timestamp_ms for r in taken] == sorted(r.timestamp_ms for r in records)


def _by(records: list[LogRecord], sources: list[TopicPartition]) -> list[list[LogRecord]]:
    return [[each for each in records if each.source == source] for source in sources]
