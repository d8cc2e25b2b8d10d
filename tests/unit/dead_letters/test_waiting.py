"""Which letters wait for which: by projection and key, in the order of the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from events.base import TopicPartition
from events.codec import LogRecord
from events.deadletters import (
    TOPIC,
    DeadLetterLog,
    LetterState,
    dead_letter_headers,
    decision_record,
)
from events.follows import UserFollowed
from infra.dead_letters.topic import Filters, LetterTopic, WaitingKey
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, log_record

KEYS = MemoryKeyRing.loaded(ADA, BEN)
SOURCE = TopicPartition("events.follows", 0)
HERS = WaitingKey("followers", SOURCE, "hers")


class Letters:
    """A topic of dead letters in the making."""

    def __init__(self) -> None:
        self.log = DeadLetterLog()
        self.topic = LetterTopic("nowhere", self.log)
        self._end = 0

    def _append(self, record: LogRecord) -> str:
        offset, self._end = self._end, self._end + 1
        self.log.take(replace(record, source=TopicPartition(TOPIC, 0), offset=offset))
        return f"0:{offset}"

    def bury(
        self, offset: int, key: str = "hers", reader: str = "followers", parked: Sequence[str] = ()
    ) -> str:
        event = UserFollowed(follower_id=ADA, creator_id=BEN)
        record = replace(log_record(event, KEYS, offset=offset, source=SOURCE), key=key)
        headers = dead_letter_headers(record, reader, ValueError("no"), parked)
        return self._append(replace(record, headers=dict(headers)))

    def park(self, offset: int, key: str = "hers", reader: str = "followers") -> str:
        return self.bury(offset, key, reader, ["followers"])

    def decide(self, letter_id: str, state: LetterState) -> None:
        letter = self.log.letters[letter_id]
        value, headers = decision_record(letter, state, "a test")
        self._append(replace(letter.record, value=value, headers=dict(headers)))

    def with_followers(self, *letter_ids: str) -> list[str]:
        chosen = self.topic.named(letter_ids)
        return [letter.id for letter in self.topic.with_followers(chosen)]

    def waiting(self) -> list[int]:
        return [letter.record.offset for letter in self.topic.waiting(HERS)]


def test_what_waits_behind_a_letter_comes_along_oldest_first() -> None:
    letters = Letters()
    later, first, others = letters.park(7), letters.park(3), letters.park(5, "his")
    letters.bury(9, reader="comments")
    assert letters.with_followers(first) == [first, later]
    assert letters.with_followers(later) == [later]
    assert letters.with_followers(others) == [others]


def test_a_record_that_nobody_could_decode_has_its_key_wait_for_projections_by_name() -> None:
    letters = Letters()
    undecoded, behind = letters.park(3, reader="projections-postgres"), letters.park(4)
    assert letters.with_followers(undecoded) == [undecoded, behind]
    [letter] = letters.topic.named([behind])
    older = letters.topic.older_open(letter)
    assert older is not None
    assert older.id == undecoded


def test_letters_of_projections_that_go_on_wait_for_nobody() -> None:
    letters = Letters()
    first, _ = letters.bury(3), letters.bury(4)
    assert letters.with_followers(first) == [first]
    assert letters.waiting() == []


def test_decided_letters_wait_no_more_but_are_known() -> None:
    letters = Letters()
    first, later = letters.park(3), letters.park(7)
    letters.decide(first, LetterState.DISCARDED)
    assert letters.waiting() == [7]
    letters.decide(later, LetterState.RETRIED)
    assert letters.waiting() == []
    assert letters.topic.knows(HERS, 7)
    assert not letters.topic.knows(HERS, 8)


def test_a_letter_that_has_its_key_wait_is_told_from_one_that_let_it_go_on() -> None:
    letters = Letters()
    lenient, strict, again = letters.bury(3), letters.park(3), letters.park(3)
    assert [letter.id for letter in letters.topic.chosen(Filters())] == [lenient, strict]
    letters.decide(lenient, LetterState.RETRIED)
    assert letters.waiting() == [3]
    assert again not in letters.log.letters
    letters.decide(strict, LetterState.RETRIED)
    assert letters.waiting() == []
    renewed = letters.park(3)
    assert renewed in letters.log.letters
