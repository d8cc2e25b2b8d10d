"""The topic of dead letters as operators use it: what lies there, and what was decided."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer
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
from infra.kafka.appender import Appender
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


@dataclass(frozen=True, slots=True)
class WaitingKey:
    """A key of a partition that waits for a projection."""

    projection: str
    source: TopicPartition
    key: str

    @classmethod
    def all_of(cls, letter: DeadLetter) -> list[WaitingKey]:
        """Return what waits because of a letter."""
        record = letter.record
        return [cls(name, record.source, record.key) for name in sorted(letter.parked)]

    def is_of(self, letter: DeadLetter) -> bool:
        """Say whether it waits because of this letter, among others."""
        record = letter.record
        return (
            self.projection in letter.parked
            and record.key == self.key
            and record.source == self.source
        )


class LetterTopic:
    """All letters as they were when the topic was read, and the way to decide about them."""

    def __init__(self, bootstrap: str, log: DeadLetterLog | None = None) -> None:
        self._bootstrap = bootstrap
        self._log = log or DeadLetterLog()
        self._read_to: dict[TopicPartition, int] = {}
        self._appender: Appender | None = None

    async def refresh(self) -> None:
        """Read on to the topic's present end.

        Raises:
            Unavailable: Kafka cannot be reached.
        """
        async for records in replay(self._bootstrap, [DEAD_LETTERS], starts=self._read_to):
            for record in records:
                self._log.take(record)
                self._read_to[record.source] = record.offset + 1

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
        offset = letter.record.offset
        # What is cheap is asked first: a key may have thousands of letters.
        older = [
            other
            for other in self._open_of(letter.record.key)
            if other.record.offset < offset
            and other.record.source == letter.record.source
            and (other.reader == letter.reader or other.parked & letter.parked)
        ]
        return min(older, key=_place, default=None)

    def waiting(self, key: WaitingKey) -> list[DeadLetter]:
        """Return the open letters for which a key waits, oldest first."""
        return sorted(filter(key.is_of, self._open_of(key.key)), key=_place)

    def knows(self, key: WaitingKey, offset: int) -> bool:
        """Say whether a letter of the key was written of the record at this offset."""
        letters = self._log.of_key.get(key.key, ())
        return any(letter.record.offset == offset and key.is_of(letter) for letter in letters)

    def with_followers(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        """Return letters together with those that wait behind them, in the order of places."""
        found = {letter.id: letter for letter in letters}
        first: dict[WaitingKey, int] = {}
        for letter in found.values():
            for key in WaitingKey.all_of(letter):
                first[key] = min(letter.record.offset, first.get(key, letter.record.offset))
        for key, offset in first.items():
            found |= {each.id: each for each in self.waiting(key) if each.record.offset > offset}
        return sorted(found.values(), key=_place)

    def _open_of(self, key: str) -> Iterator[DeadLetter]:
        letters = self._log.of_key.get(key, ())
        return (letter for letter in letters if letter.state is LetterState.OPEN)

    def never_applied(self, projection: str, store_reader: str, key: str) -> frozenset[Origin]:
        """Return the records of a key that a projection missed and nobody has applied since."""
        return frozenset(
            letter.origin
            for letter in self._log.of_key.get(key, ())
            if letter.state is not LetterState.RETRIED
            and (letter.reader in {projection, store_reader} or projection in letter.parked)
        )

    async def decide(self, letter: DeadLetter, state: LetterState, because: str) -> None:
        """Append what became of a letter; returns when it is safe.

        Raises:
            Unavailable: Kafka cannot be reached; nothing was decided.
        """
        value, headers = decision_record(letter, state, because)
        partition = int(letter.id.partition(":")[0])
        place = TopicPartition(DEAD_LETTERS, partition)
        await self.append(place, letter.record.key, value, headers)
        letter.state = state

    async def append(self, place: TopicPartition, key: str, value: bytes, headers: Headers) -> None:
        """Append a record to a partition, of this topic or the one that a letter came from.

        Raises:
            Unavailable: Kafka cannot be reached.
        """
        if self._appender is None:
            self._appender = Appender(self._bootstrap)
        await self._appender.append(place.topic, key, value, headers, place.partition)

    async def close(self) -> None:
        """Disconnect, if anything was appended."""
        if self._appender is not None:
            await self._appender.close()


def _place(letter: DeadLetter) -> tuple[TopicPartition, int]:
    return letter.record.source, letter.record.offset


async def read_letters(bootstrap: str) -> LetterTopic:
    """Read the topic to its present end, only to look at it.

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    letters = LetterTopic(bootstrap)
    await letters.refresh()
    return letters


@asynccontextmanager
async def open_letters(bootstrap: str) -> AsyncIterator[LetterTopic]:
    """Read the topic to its present end, to decide about letters.

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    letters = await read_letters(bootstrap)
    try:
        yield letters
    finally:
        await letters.close()


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
