"""What counts as left over in the log, and what other people wrote as well."""

from __future__ import annotations

from dataclasses import replace

from events.base import TopicPartition
from events.codec import LogRecord
from events.comments import CommentPosted
from infra.gdpr.log_search import LogSearch
from infra.gdpr.needles import Needles
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, COMMENT, VIDEO, log_record

TEXT = "a very long remark of Ada's"
EMAIL = "ada@example.org"
POSTED = CommentPosted(
    comment_id=COMMENT, video_id=VIDEO, author_id=ADA, parent_comment_id=None, text=TEXT
)


def search_over(*records: LogRecord, keys: MemoryKeyRing) -> LogSearch:
    needles = Needles({TEXT: ["comment.posted.text"], EMAIL: ["user.registered.email"]})
    search = LogSearch(ADA, needles)
    for record in records:
        search.look(record, keys)
    return search


def erased() -> tuple[LogRecord, MemoryKeyRing]:
    """Return a comment of Ada's whose key is gone."""
    keys = MemoryKeyRing.loaded(ADA, BEN)
    record = log_record(POSTED, keys)
    keys.destroy(ADA)
    return record, keys


def test_ciphertext_without_its_key_says_nothing() -> None:
    record, keys = erased()
    search = search_over(record, keys=keys)
    assert (search.findings(), search.shared, search.records) == ([], set(), 1)


def test_plain_text_beside_the_person_is_found() -> None:
    record, keys = erased()
    told = {**record.headers, "dead_reason": f"cannot digest '{TEXT}'".encode()}
    letter = replace(record, headers=told, source=TopicPartition("deadletters", 2), offset=7)
    [finding] = search_over(letter, keys=keys).findings()
    assert finding.sentence() == "log deadletters/2/7: comment.posted.text"


def test_what_somebody_else_wrote_as_well_proves_nothing() -> None:
    record, keys = erased()
    bens = log_record(POSTED.model_copy(update={"author_id": BEN}), keys)
    search = search_over(record, bens, keys=keys)
    assert (search.findings(), search.shared) == ([], {TEXT.casefold()})


def test_plain_parts_of_records_of_others_are_words_of_others() -> None:
    record, keys = erased()
    elsewhere = replace(record, headers={}, key=VIDEO, value=b'{"tags": ["%s"]}' % TEXT.encode())
    search = search_over(elsewhere, keys=keys)
    assert (search.findings(), search.shared) == ([], {TEXT.casefold()})


def test_an_email_in_plain_text_is_found_wherever_it_stands() -> None:
    record, keys = erased()
    elsewhere = replace(record, headers={}, key=VIDEO, value=b'{"to": "ada@example.org"}')
    [finding] = search_over(elsewhere, keys=keys).findings()
    assert finding.kind == "user.registered.email"
