"""Dead letters: what they keep, what they withhold, and what became of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from events.base import TopicPartition
from events.codec import LogRecord, decode
from events.comments import CommentPosted
from events.deadletters import (
    TOPIC,
    DeadLetterLog,
    LetterState,
    code_version,
    dead_letter_headers,
    decision_record,
    read_dead_letter,
)
from events.errors import UndecodableRecord
from events.follows import UserFollowed
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, COMMENT, VIDEO, log_record

KEYS = MemoryKeyRing.loaded(ADA, BEN)
FOLLOWED = log_record(UserFollowed(follower_id=ADA, creator_id=BEN), KEYS, offset=5)
POSTED = log_record(
    CommentPosted(
        comment_id=COMMENT, video_id=VIDEO, author_id=ADA, parent_comment_id=None, text="My secret"
    ),
    KEYS,
)


def failure(message: str = "too long: 'My secret'") -> Exception:
    """Return an error with a traceback and a cause."""
    try:
        try:
            raise ValueError(message)
        except ValueError as cause:
            raise KeyError(message) from cause
    except KeyError as error:
        return error


def letter_of(
    record: LogRecord, offset: int = 0, error: Exception | None = None, reader: str = "followers"
) -> LogRecord:
    headers = dict(dead_letter_headers(record, reader, error or failure()))
    source = TopicPartition(TOPIC, 0)
    return replace(record, source=source, offset=offset, headers=headers)


def decision_of(letter: LogRecord, state: LetterState, offset: int = 100) -> LogRecord:
    value, headers = decision_record(read_dead_letter(letter), state, "a test")
    return replace(letter, value=value, headers=dict(headers), offset=offset)


def test_a_letter_gives_the_record_back_as_it_was() -> None:
    letter = read_dead_letter(letter_of(FOLLOWED, 7))
    assert letter.record == FOLLOWED
    assert (letter.id, letter.reader, letter.version) == ("0:7", "followers", code_version())
    assert letter.type == "user.followed.v1"
    assert decode(letter.record, KEYS).event == UserFollowed(follower_id=ADA, creator_id=BEN)


def test_a_letter_of_a_letter_keeps_the_first_record_only() -> None:
    again = read_dead_letter(letter_of(replace(FOLLOWED, headers=letter_of(FOLLOWED).headers)))
    assert again.record.headers == FOLLOWED.headers


def test_reason_and_traceback_are_told_with_their_causes() -> None:
    letter = read_dead_letter(letter_of(FOLLOWED))
    assert "My secret" in letter.reason
    assert letter.trace.index("ValueError") < letter.trace.index("KeyError")
    assert "in failure" in letter.trace


def test_of_a_record_with_personal_data_no_foreign_message_is_kept() -> None:
    headers = letter_of(POSTED).headers
    letter = read_dead_letter(letter_of(POSTED))
    assert "secret" not in b"".join(headers.values()).decode()
    assert letter.reason.startswith("KeyError")
    assert "in failure" in letter.trace


def test_our_own_errors_are_quoted_and_quote_nobody() -> None:
    broken = replace(POSTED, value=b'{"text": "My secret", "comment_id": "My secret"}')
    with pytest.raises(UndecodableRecord) as raised:
        decode(broken, KEYS)
    headers = letter_of(broken, error=raised.value).headers
    assert b"is not a comment.posted.v1" in headers["dead_reason"]
    assert "secret" not in b"".join(headers.values()).decode()


def test_a_letter_is_open_until_something_else_is_said_of_it() -> None:
    log = DeadLetterLog()
    log.take(letter_of(FOLLOWED, 3))
    assert log.letters["0:3"].state is LetterState.OPEN
    log.take(decision_of(letter_of(FOLLOWED, 3), LetterState.DISCARDED))
    letter = log.letters["0:3"]
    assert (letter.state, letter.decided_because) == (LetterState.DISCARDED, "a test")
    assert letter.decided_at is not None


def test_the_same_record_buried_again_is_the_same_letter_while_it_is_open() -> None:
    log = DeadLetterLog()
    for offset in (0, 1):
        log.take(letter_of(FOLLOWED, offset))
    log.take(letter_of(FOLLOWED, 2, reader="accounts"))
    assert {letter.id: letter.repeats for letter in log.letters.values()} == {"0:0": 1, "0:2": 0}
    log.take(decision_of(letter_of(FOLLOWED, 0), LetterState.RETRIED))
    log.take(letter_of(FOLLOWED, 101))
    assert log.letters["0:101"].state is LetterState.OPEN


def test_what_is_no_letter_is_passed_over() -> None:
    log = DeadLetterLog()
    log.take(FOLLOWED)
    log.take(decision_of(letter_of(FOLLOWED, 3), LetterState.RETRIED))
    assert not log.letters
    with pytest.raises(UndecodableRecord):
        read_dead_letter(FOLLOWED)
