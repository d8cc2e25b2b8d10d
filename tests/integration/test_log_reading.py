"""Reading the log: bounds, order between partitions, the end, what was aborted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from events import clock
from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.errors import BadSelection, LogUnreadable, TopicMissing
from infra.log_tools.ordering import last, read
from infra.log_tools.reader import LogReader, Span
from infra.log_tools.selection import Filters, Selection
from tests.conftest import Servers
from tests.integration.log_writer import START, OwnLog, at

PARTITIONS = 3


@pytest.fixture
def own_log(servers: Servers) -> Iterator[OwnLog]:
    log = OwnLog(servers["kafka"], PARTITIONS)
    yield log
    log.remove()


@pytest.fixture
def reader(servers: Servers) -> Iterator[LogReader]:
    with LogReader(servers["kafka"]) as opened:
        yield opened


def all_of(log: OwnLog) -> Selection:
    return Selection((log.domain.events,))


def ids(records: Iterator[list[LogRecord]] | list[list[LogRecord]]) -> list[str]:
    return [record.headers["ce_id"].decode() for batch in records for record in batch]


def test_partitions_are_merged_by_time(own_log: OwnLog, reader: LogReader) -> None:
    written = [own_log.like(seconds, seconds % PARTITIONS) for seconds in range(12)]
    assert ids(read(reader, all_of(own_log))) == written


def test_a_partition_keeps_its_order_whatever_its_times_say(
    own_log: OwnLog, reader: LogReader
) -> None:
    late, early = own_log.like(50), own_log.like(10)
    between = own_log.like(20, 1)
    assert ids(read(reader, all_of(own_log))) == [between, late, early]


def test_what_was_aborted_is_not_read(own_log: OwnLog, reader: LogReader) -> None:
    kept = own_log.like(1)
    with own_log.transaction(commits=False):
        own_log.append(b"{}", [("ce_id", b"aborted")])
    assert ids(read(reader, all_of(own_log))) == [kept]


def test_since_and_until_are_bounds_by_time(own_log: OwnLog, reader: LogReader) -> None:
    written, moments = [], []
    for number in range(6):
        moments.append(after_now())
        written.append(own_log.like((clock.now() - START).total_seconds(), number % 2))
    topics = (own_log.domain.events,)
    assert ids(read(reader, Selection(topics, since=moments[2]))) == written[2:]
    assert ids(read(reader, Selection(topics, until=moments[4]))) == written[:4]
    assert ids(read(reader, Selection(topics, since=moments[1], until=moments[5]))) == written[1:5]
    assert ids(read(reader, Selection(topics, since=after_now()))) == []


def after_now() -> datetime:
    """Return a moment later than everything written, which has come: Kafka counts whole ms."""
    moment = clock.now() + timedelta(milliseconds=2)
    while clock.now() < moment:
        time.sleep(0.0005)
    return moment


def test_offsets_and_partitions_choose(own_log: OwnLog, reader: LogReader) -> None:
    written = [own_log.like(seconds, seconds % 2) for seconds in range(6)]
    topic = own_log.domain.events
    one = Selection((topic,), partitions=frozenset({1}))
    assert ids(read(reader, one)) == written[1::2]
    # A transaction of one record takes two offsets, its marker included.
    started = one.starting_at({TopicPartition(topic, 1): 2})
    assert ids(read(reader, started)) == written[3::2]


def test_filters_choose(own_log: OwnLog, reader: LogReader) -> None:
    own_log.like(1)
    wanted = own_log.like(2, stream="like-wanted")
    filters = Filters(streams=frozenset({"like-wanted"}))
    assert ids(read(reader, Selection((own_log.domain.events,), filters=filters))) == [wanted]


def test_the_last_ones_are_found_from_the_end(own_log: OwnLog, reader: LogReader) -> None:
    old = own_log.like(0, 2)
    written = [own_log.like(seconds, seconds % 2) for seconds in range(1, 9)]
    selection = all_of(own_log)
    ends = {source: span.end or 0 for source, span in reader.spans(selection).items()}
    assert ids([last(reader, selection, 3, ends)]) == written[-3:]
    assert ids([last(reader, selection, 99, ends)]) == [old, *written]


def test_the_last_ones_may_lie_far_back(own_log: OwnLog, reader: LogReader) -> None:
    wanted = own_log.like(0, stream="like-wanted")
    with own_log.transaction():
        for _ in range(100):
            own_log.append(b"{}", [("ce_id", b"other")], moment=at(1))
    filters = Filters(streams=frozenset({"like-wanted"}))
    selection = Selection((own_log.domain.events,), filters=filters)
    ends = {source: span.end or 0 for source, span in reader.spans(selection).items()}
    assert ids([last(reader, selection, 1, ends)]) == [wanted]


def test_following_goes_on_with_what_comes(own_log: OwnLog, reader: LogReader) -> None:
    first = own_log.like(1)
    following = read(reader, all_of(own_log), follow=True)
    assert ids([next(following)]) == [first]
    later: list[str] = []
    writer = threading.Thread(target=lambda: later.append(own_log.like(2, 1)))
    writer.start()
    found = ids([next(following)])
    writer.join()
    assert found == later


def test_a_start_that_the_log_does_not_have_is_an_error(own_log: OwnLog, reader: LogReader) -> None:
    own_log.like(1)
    source = TopicPartition(own_log.domain.events, 0)
    with pytest.raises(LogUnreadable):
        list(reader.batches({source: Span(1_000, 2_000)}))


def test_what_does_not_exist_is_named(own_log: OwnLog, reader: LogReader) -> None:
    with pytest.raises(TopicMissing, match="nowhere"):
        reader.spans(Selection(("events.nowhere",)))
    with pytest.raises(BadSelection):
        reader.spans(Selection((own_log.domain.events,), partitions=frozenset({9})))
