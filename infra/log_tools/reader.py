"""Reading the log outside any group: committed records only, in bounds, without a position kept.

Memory does not grow with the log: what Kafka's client fetches ahead and one batch is all there is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from events.base import TopicPartition
from events.codec import LogRecord
from events.errors import Unavailable
from infra.kafka.command_log import log_record
from infra.log_tools.errors import BadSelection, LogUnreadable, TopicMissing
from infra.log_tools.selection import Selection

BATCH_RECORDS = 2_000
_POLL_S = 0.2
_RETRY_S = 0.1
_TIMEOUT_S = 15.0
#: How long a bounded reading waits for records that must be there before it gives up.
_SILENCE_S = 60.0
_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
#: What brokers answer while a partition's leader changes; it does not say that it can be retried.
_MOVING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
_PASSING = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
    }
)


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets from ``start`` to before ``end``; None reads on for ever."""

    start: int
    end: int | None

    @property
    def is_empty(self) -> bool:
        return self.end is not None and self.start >= self.end


Spans = Mapping[TopicPartition, Span]


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, each partition's in order, and the partitions that have reached their end."""

    records: Sequence[LogRecord]
    ended: frozenset[TopicPartition] = field(default_factory=frozenset)


class LogReader:
    """A connection to the log; close it, or use it in a ``with`` statement.

    Every method raises ``Unavailable`` when Kafka does not answer.
    """

    def __init__(self, bootstrap: str) -> None:
        # The library's own log lines would stand between those that people asked for.
        connection: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
        }
        self._admin = AdminClient(connection)
        self._consumer = Consumer(
            {
                **connection,
                "group.id": "streamhub-log-tools",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 20,
                "fetch.queue.backoff.ms": 5,
                "max.poll.interval.ms": 86_400_000,
                "queued.max.messages.kbytes": 8_192,
            }
        )

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._consumer.close()

    def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Return every partition of the topics, in order.

        Raises:
            TopicMissing: Kafka has no such topic.
        """
        try:
            known = self._consumer.list_topics(timeout=_TIMEOUT_S).topics
        except KafkaException as error:
            raise Unavailable(f"Kafka cannot be reached: {error.args[0].str()}") from error
        found = []
        for topic in topics:
            if topic not in known:
                raise TopicMissing(f"Kafka has no topic {topic}; run 'streamhub topics apply'")
            found += [TopicPartition(topic, number) for number in sorted(known[topic].partitions)]
        return found

    def starts(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset that each partition still has."""
        return self._offsets(sources, _EARLIEST, IsolationLevel.READ_COMMITTED)

    def ends(
        self, sources: Iterable[TopicPartition], *, committed: bool = True
    ) -> dict[TopicPartition, int]:
        """Return the offset behind the last record of each partition.

        With ``committed`` it is the last one that readers can see now; without, the last one that
        was appended, whether its transaction has ended or not.
        """
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(sources, _LATEST, level)

    def _offsets(
        self, sources: Iterable[TopicPartition], which: OffsetSpec, level: IsolationLevel
    ) -> dict[TopicPartition, int]:
        wanted = {KafkaTopicPartition(s.topic, s.partition): s for s in sources}
        if not wanted:
            return {}
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                found = self._list(list(wanted), which, level)
            except KafkaException as error:
                # Leaders move, and those of a new topic take a moment to be known.
                if error.args[0].code() not in _MOVING or time.monotonic() > deadline:
                    raise Unavailable(
                        f"Kafka does not tell its offsets: {error.args[0].str()}"
                    ) from error
                time.sleep(_RETRY_S)
            else:
                return {wanted[place]: offset for place, offset in found.items()}

    def _list(
        self, places: Sequence[KafkaTopicPartition], which: OffsetSpec, level: IsolationLevel
    ) -> dict[KafkaTopicPartition, int]:
        futures = self._admin.list_offsets(
            dict.fromkeys(places, which), isolation_level=level, request_timeout=_TIMEOUT_S
        )
        return {place: future.result().offset for place, future in futures.items()}

    def spans(self, selection: Selection) -> dict[TopicPartition, Span]:
        """Return where the reading of a selection starts and ends, as the log is now.

        Raises:
            BadSelection: no partition has such a number.
        """
        sources = [
            source
            for source in self.partitions(selection.topics)
            if not selection.partitions or source.partition in selection.partitions
        ]
        if not sources:
            raise BadSelection("no partition of these topics has such a number")
        first, last = self.starts(sources), self.ends(sources)
        starts = {**self._wanted_starts(selection, first, last), **selection.offsets}
        if selection.until is not None:
            last = self._at_time(last, int(selection.until.timestamp() * 1000))
        return {source: Span(starts[source], last[source]) for source in sources}

    def _wanted_starts(
        self,
        selection: Selection,
        first: Mapping[TopicPartition, int],
        last: Mapping[TopicPartition, int],
    ) -> Mapping[TopicPartition, int]:
        if selection.at_end:
            return last
        if selection.since is not None:
            return self._at_time(last, int(selection.since.timestamp() * 1000))
        if selection.offset is not None:
            return {source: max(selection.offset, first[source]) for source in first}
        return first

    def _at_time(
        self, last: Mapping[TopicPartition, int], time_ms: int
    ) -> dict[TopicPartition, int]:
        """Return the offset of each partition's first record at or after a time, else its end."""
        wanted = [KafkaTopicPartition(s.topic, s.partition, max(0, time_ms)) for s in last]
        try:
            found = self._consumer.offsets_for_times(wanted, timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise Unavailable(f"Kafka does not tell its offsets: {error.args[0].str()}") from error
        at = {TopicPartition(place.topic, place.partition): place.offset for place in found}
        return {s: at[s] if 0 <= at[s] < end else end for s, end in last.items()}

    def pause(self, sources: Iterable[TopicPartition]) -> None:
        """Fetch no more of these partitions for now."""
        self._consumer.pause([KafkaTopicPartition(s.topic, s.partition) for s in sources])

    def resume(self, sources: Iterable[TopicPartition]) -> None:
        """Go on with paused partitions."""
        self._consumer.resume([KafkaTopicPartition(s.topic, s.partition) for s in sources])

    def batches(self, spans: Spans) -> Iterator[Batch]:
        """Yield what stands in the spans; a batch may be empty. Ends when all spans are read.

        Raises:
            LogUnreadable: Kafka refuses, for example because a start is no longer in the log.
            Unavailable: a bounded reading has waited too long.
        """
        unread = {source: span for source, span in spans.items() if not span.is_empty}
        self._consumer.assign(
            [KafkaTopicPartition(s.topic, s.partition, span.start) for s, span in unread.items()]
        )
        is_bounded = all(span.end is not None for span in unread.values())
        deadline = time.monotonic() + _SILENCE_S
        while unread:
            messages = self._fetched()
            if messages:
                deadline = time.monotonic() + _SILENCE_S
            elif is_bounded and time.monotonic() > deadline:
                raise Unavailable(f"Kafka was silent for {_SILENCE_S:.0f} s")
            batch = _sort_out(messages, unread)
            if batch.ended:
                self._leave(batch.ended, unread)
            yield batch

    def _fetched(self) -> list[Message]:
        """Return what has come; wait a little for the first, not for a whole batch."""
        first = self._consumer.poll(_POLL_S)
        return [] if first is None else [first, *self._consumer.consume(BATCH_RECORDS, 0)]

    def _leave(self, ended: frozenset[TopicPartition], unread: dict[TopicPartition, Span]) -> None:
        for source in ended:
            del unread[source]
        self._consumer.incremental_unassign(
            [KafkaTopicPartition(s.topic, s.partition) for s in ended]
        )


def _sort_out(messages: Sequence[Message], unread: Mapping[TopicPartition, Span]) -> Batch:
    """Return the records that lie in their spans, and whose spans they end."""
    records, ended = [], set()
    for message in messages:
        error = message.error()
        if error is None:
            record = log_record(message)
            end = unread[record.source].end if record.source in unread else 0
            if end is None or record.offset < end:
                records.append(record)
            if end is not None and record.offset >= end - 1:
                ended.add(record.source)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            source = TopicPartition(message.topic() or "", message.partition() or 0)
            end = unread[source].end if source in unread else None
            if end is not None and (message.offset() or 0) >= end:
                ended.add(source)
        elif error.code() not in _PASSING and not error.retriable():
            place = f"{message.topic()}-{message.partition()}: " if message.topic() else ""
            raise LogUnreadable(f"{place}{error.str()}")
    return Batch(records, frozenset(ended & unread.keys()))
