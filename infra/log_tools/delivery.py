"""Records of the log given to somebody else: to another topic, or to a command's input.

What is given to a topic stays as it is, ciphertext included; what a command gets is what
``streamhub log tail --json`` prints. The pace is that of the events' own times, or as fast as it
goes.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import IO, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from events import clock
from events.base import TopicPartition
from events.codec import LogRecord
from events.errors import Unavailable
from infra.log_tools.bookmarks import Bookmark
from infra.log_tools.errors import ForbiddenTarget, ReceiverFailed, TopicMissing
from infra.log_tools.keys import Keys
from infra.log_tools.ordering import read
from infra.log_tools.reader import LogReader
from infra.log_tools.selection import Selection
from infra.log_tools.showing import appended_at, json_line, shown
from schemas.catalogue import topics

#: The header that tells where a replayed record stands in the log: ``topic/partition/offset``.
REPLAYED_FROM = "replayed_from"
_TIMEOUT_S = 30.0
_SAVE_INTERVAL_S = 1.0
_OWN_PREFIXES = ("commands.", "events.", "outcomes.", "__")


class EnoughReceived(Exception):
    """The receiver wants no more."""


class Receiver(Protocol):
    """Whoever gets the records."""

    def give(self, records: Sequence[LogRecord]) -> None:
        """Hand records over; returns when they have arrived.

        Raises:
            EnoughReceived: the receiver wants no more.
        """

    def close(self) -> None:
        """Say that nothing more comes."""


class Pace:
    """Waits so that records come ``speed`` times as fast as their events happened; None: no wait.

    The first record sets the clock. One that is earlier than the one before it comes at once.
    """

    def __init__(
        self,
        speed: float | None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._now = now
        self._sleep = sleep
        self._first: tuple[datetime, float] | None = None

    def wait(self, moment: datetime) -> None:
        """Return when it is time for an event of that moment."""
        if self._speed is None:
            return
        if self._first is None:
            self._first = (moment, self._now())
            return
        started, at = self._first
        due = at + (moment - started).total_seconds() / self._speed
        delay = due - self._now()
        if delay > 0:
            self._sleep(delay)

    def paced(self, records: Sequence[LogRecord]) -> Iterator[Sequence[LogRecord]]:
        """Yield the records when they are due: one at a time, or all at once without a pace."""
        if self._speed is None:
            yield records
            return
        for record in records:
            self.wait(event_time(record))
            yield [record]


def event_time(record: LogRecord) -> datetime:
    """Return when the event's command was issued, or when it was appended where it does not say."""
    try:
        return clock.from_text(record.headers["ce_time"].decode())
    except (KeyError, ValueError):
        return appended_at(record)


class TopicReceiver:
    """Appends to a topic: key, body and headers as they are, and where each comes from.

    A key goes to the partition that Kafka's own clients choose (murmur2).

    Raises:
        ForbiddenTarget: the topic is one of the log's own.
        TopicMissing: there is no such topic, and ``partitions`` is None.
        Unavailable: Kafka does not answer.
    """

    def __init__(self, bootstrap: str, topic: str, partitions: int | None = None) -> None:
        refuse_own(topic)
        self._topic = topic
        _ensure(bootstrap, topic, partitions)
        self._failures: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": 0,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                "partitioner": "murmur2_random",
            }
        )

    def give(self, records: Sequence[LogRecord]) -> None:
        for record in records:
            self._producer.produce(
                self._topic,
                value=record.value,
                key=record.key.encode(),
                headers=[*record.headers.items(), (REPLAYED_FROM, place_of(record).encode())],
                timestamp=record.timestamp_ms,
                on_delivery=self._note,
            )
            self._producer.poll(0)
        if self._producer.flush(_TIMEOUT_S) or self._failures:
            reason = self._failures[0].str() if self._failures else "Kafka does not answer"
            raise Unavailable(f"{self._topic} cannot be written: {reason}")

    def _note(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures.append(error)

    def close(self) -> None:
        self._producer.flush(_TIMEOUT_S)


def place_of(record: LogRecord) -> str:
    """Return where a record stands, as the header says it."""
    return f"{record.source.topic}/{record.source.partition}/{record.offset}"


def refuse_own(topic: str) -> None:
    """Raise ``ForbiddenTarget`` when a topic is, or is named like, one of the log's own."""
    if topic in {known.name for known in topics()} or topic.startswith(_OWN_PREFIXES):
        raise ForbiddenTarget(f"'{topic}' belongs to the log; replay into a topic of your own")


def _ensure(bootstrap: str, topic: str, partitions: int | None) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        if topic in admin.list_topics(timeout=_TIMEOUT_S).topics:
            return
        if partitions is None:
            raise TopicMissing(f"Kafka has no topic {topic}; --create makes it")
        [future] = admin.create_topics([NewTopic(topic, num_partitions=partitions)]).values()
        future.result(_TIMEOUT_S)
    except KafkaException as error:
        raise Unavailable(f"{topic} cannot be made: {error.args[0].str()}") from error


class CommandReceiver:
    """Runs a command and writes to its standard input, one JSON object a line.

    The command is split as a shell would, and run without one. Raises ``ReceiverFailed`` when it
    cannot be started or ends with another code than 0.
    """

    def __init__(self, command: str, keys: Keys) -> None:
        self._command = command
        self._keys = keys
        try:
            words = shlex.split(command)
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE)  # noqa: S603
        except (OSError, ValueError, IndexError) as error:
            raise ReceiverFailed(f"'{command}' cannot be started: {error}") from error

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def give(self, records: Sequence[LogRecord]) -> None:
        lines = "".join(json_line(view) + "\n" for view in shown(records, self._keys))
        try:
            self._input.write(lines.encode())
            self._input.flush()
        except BrokenPipeError:
            raise EnoughReceived from None

    def close(self) -> None:
        # Where the last lines were not read, the command's own code tells whether it minds.
        with contextlib.suppress(BrokenPipeError):
            self._input.close()
        code = self._process.wait()
        if code:
            raise ReceiverFailed(f"'{self._command}' ended with code {code}")


def deliver(
    bootstrap: str,
    selection: Selection,
    receiver: Receiver,
    pace: Pace,
    *,
    follow: bool = False,
    bookmark: Bookmark | None = None,
) -> int:
    """Give a selection to a receiver; return how many records arrived.

    It starts where ``bookmark`` stands and moves it on: after an interruption the records since
    its last move, a second's at most, are given again. Ctrl-C ends it in order.

    Raises:
        ReceiverFailed, Unavailable: the receiver did not take them all.
        BadSelection, TopicMissing, LogUnreadable: the log cannot be read like that.
    """
    given, mark = 0, _Mark(bookmark)
    try:
        with LogReader(bootstrap) as reader:
            selection = mark.begin(reader, selection)
            for records in read(reader, selection, follow=follow):
                for due in pace.paced(records):
                    receiver.give(due)
                    mark.move(due)
                    given += len(due)
    except (KeyboardInterrupt, EnoughReceived):
        pass
    finally:
        try:
            receiver.close()
        except ReceiverFailed:
            # What it was given may lie unread in a pipe.
            mark.put_back()
            raise
        finally:
            mark.save()
    return given


class _Mark:
    """Moves a bookmark on, and writes it down once a second at most."""

    def __init__(self, bookmark: Bookmark | None) -> None:
        self._bookmark = bookmark
        self._began_at: dict[TopicPartition, int] = {}
        self._saved_at = time.monotonic()

    def begin(self, reader: LogReader, selection: Selection) -> Selection:
        """Return the selection from where the bookmark stands on.

        It is put into every partition at once: one that has nothing to give now must not begin
        anew, at its end or at a time, when it has.
        """
        if self._bookmark is None:
            return selection
        selection = selection.starting_at(self._bookmark.positions)
        for source, span in reader.spans(selection).items():
            self._bookmark.positions.setdefault(source, span.start)
        self._began_at = dict(self._bookmark.positions)
        return selection.starting_at(self._bookmark.positions)

    def put_back(self) -> None:
        """Return to where this run began."""
        if self._bookmark is not None:
            self._bookmark.positions.update(self._began_at)

    def move(self, records: Sequence[LogRecord]) -> None:
        if self._bookmark is None:
            return
        for record in records:
            self._bookmark.positions[record.source] = record.offset + 1
        if time.monotonic() - self._saved_at > _SAVE_INTERVAL_S:
            self.save()

    def save(self) -> None:
        if self._bookmark is not None:
            self._bookmark.save()
            self._saved_at = time.monotonic()
