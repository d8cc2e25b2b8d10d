"""The topic of dead letters as operators use it: what lies there, and what was decided."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from events.base import TopicPartition
from events.codec import Headers, LogRecord
from events.deadletters import (
    DeadLetter,
    DeadLetterLog,
    LetterState,
    Origin,
    decision_record,
)
from events.errors import NotFound, Unavailable
from infra.kafka.replay import log_record, replay
from schemas.catalogue import DEAD_LETTERS

_ID = re.compile(r"^(\d+):(\d+)$")
_FETCH_WAIT_MS = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """Which letters are meant; what is empty or None filters nothing.

    ``type`` is a stored name with or without its version, ``error`` a part of the reason.
    """

    reader: str = ""
    topic: str = ""
    type: str = ""
    key: str = ""
    error: str = ""
    since: datetime | None = None
    state: LetterState | None = LetterState.OPEN

    @property
    def narrows(self) -> bool:
        """Whether anything but the state is asked for."""
        return any((self.reader, self.topic, self.type, self.key, self.error, self.since))

    def admit(self, letter: DeadLetter) -> bool:
        """Say whether a letter is meant."""
        wanted = (
            (self.reader, letter.reader),
            (self.topic, letter.record.source.topic),
            (self.key, letter.record.key),
        )
        return (
            all(want in {"", found} for want, found in wanted)
            and self.type in {"", letter.type, letter.type.rpartition(".v")[0]}
            and self.error.casefold() in letter.reason.casefold()
            and (self.since is None or letter.time >= self.since)
            and self.state in {None, letter.state}
        )


class LetterTopic:
    """All letters as they were when the topic was read, and the way to decide about them."""

    def __init__(self, bootstrap: str, log: DeadLetterLog) -> None:
        self._bootstrap = bootstrap
        self._log = log

    def chosen(self, filters: Filters) -> Iterator[DeadLetter]:
        """Yield the letters that filters admit, in the order of their records' places."""
        letters = [letter for letter in self._log.letters.values() if filters.admit(letter)]
        yield from sorted(letters, key=_place)

    def named(self, letter_ids: Iterable[str]) -> list[DeadLetter]:
        """Return the letters of these ids, in the order of their records' places.

        Raises:
            NotFound: there is none of that id.
        """
        letters = []
        for letter_id in letter_ids:
            letter = self._log.letters.get(letter_id) if _ID.match(letter_id) else None
            if letter is None:
                raise NotFound(f"there is no dead letter {letter_id}", code="LETTER_NOT_FOUND")
            letters.append(letter)
        return sorted(letters, key=_place)

    def older_open(self, letter: DeadLetter) -> DeadLetter | None:
        """Return an open letter of the same reader and key that must come first, if any."""
        return next(
            (
                other
                for other in self.chosen(Filters(reader=letter.reader, key=letter.record.key))
                if other.record.source == letter.record.source
                and other.record.offset < letter.record.offset
            ),
            None,
        )

    def never_applied(self, readers: frozenset[str]) -> frozenset[Origin]:
        """Return the records that some readers buried and nobody has applied since."""
        return frozenset(
            letter.origin
            for letter in self._log.letters.values()
            if letter.reader in readers and letter.state is not LetterState.RETRIED
        )

    async def decide(self, letter: DeadLetter, state: LetterState, because: str) -> None:
        """Append what became of a letter; returns when it is safe.

        Raises:
            Unavailable: Kafka cannot be reached; nothing was decided.
        """
        value, headers = decision_record(letter, state, because)
        partition = int(letter.id.partition(":")[0])
        place = TopicPartition(DEAD_LETTERS, partition)
        await append(self._bootstrap, place, letter.record.key, value, headers)
        letter.state = state


def _place(letter: DeadLetter) -> tuple[TopicPartition, int]:
    return letter.record.source, letter.record.offset


async def read_letters(bootstrap: str) -> LetterTopic:
    """Read the topic to its present end.

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    log = DeadLetterLog()
    async for records in replay(bootstrap, [DEAD_LETTERS]):
        for record in records:
            log.take(record)
    return LetterTopic(bootstrap, log)


async def append(
    bootstrap: str, place: TopicPartition, key: str, value: bytes, headers: Headers
) -> None:
    """Append one record to a partition.

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    try:
        await producer.start()
        await producer.send_and_wait(
            place.topic,
            value=value,
            key=key.encode(),
            partition=place.partition,
            headers=headers,
        )
    except KafkaError as error:
        raise Unavailable(f"Kafka cannot be written to: {error}") from error
    finally:
        await producer.stop()


async def records_between(
    bootstrap: str, source: TopicPartition, begins: int, ends: int, key: str
) -> Sequence[LogRecord]:
    """Return the committed records of a key in a part of a partition, in their order.

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    place = KafkaTopicPartition(source.topic, source.partition)
    found: list[LogRecord] = []
    try:
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, begins)
        while await consumer.position(place) < ends:
            fetched = await consumer.getmany(place, timeout_ms=_FETCH_WAIT_MS)
            records = (log_record(source, record) for record in fetched.get(place, ()))
            found += [r for r in records if r.key == key and r.offset < ends]
    except KafkaError as error:
        raise Unavailable(f"Kafka cannot be read: {error}") from error
    finally:
        await consumer.stop()
    return found
