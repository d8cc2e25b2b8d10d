"""What `streamhub log verify` finds in logs that break their promises, written for that purpose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from events import clock
from events.codec import event_headers
from infra.log_tools.verify.findings import Finding
from infra.log_tools.verify.whole import LogReport, verify_log
from tests.conftest import Servers
from tests.integration.log_writer import START, Decided, OwnLog, body, like, metadata_of


@pytest.fixture
def own_log(servers: Servers) -> Iterator[OwnLog]:
    log = OwnLog(servers["kafka"])
    yield log
    log.remove()


def look(own_log: OwnLog, folder: Path) -> LogReport:
    return verify_log(own_log.bootstrap, [own_log.domain], folder, lambda _passed, _whole: None)


def found(report: LogReport) -> list[Finding]:
    """Return the findings but those that only say that the domain is the test's own."""
    return [f for f in report.findings.kept if "belongs to engagement" not in f.message]


def messages(report: LogReport) -> list[tuple[str, str]]:
    return [(finding.rule, finding.message) for finding in found(report)]


def test_a_log_that_keeps_its_promises(own_log: OwnLog, tmp_path: Path) -> None:
    first = Decided(versions=(1, 2))
    own_log.decide(first, Decided(versions=()), Decided(versions=(1,)))
    own_log.decide(Decided(stream=first.stream, versions=(3,)))
    report = look(own_log, tmp_path)
    assert messages(report) == []
    assert (report.records("events"), report.records("outcomes")) == (4, 4)
    assert (report.streams, report.commands_with_events, report.blocks_with_gaps) == (2, 3, 0)
    assert list(tmp_path.iterdir()) == []


def test_the_digest_tells_logs_apart(own_log: OwnLog, tmp_path: Path) -> None:
    own_log.decide(Decided())
    before = [each.digest for each in look(own_log, tmp_path).partitions]
    assert before == [each.digest for each in look(own_log, tmp_path).partitions]
    own_log.decide(Decided())
    after = [each.digest for each in look(own_log, tmp_path).partitions]
    assert not set(before) & set(after)


def test_aborted_records_between_are_no_finding(own_log: OwnLog, tmp_path: Path) -> None:
    own_log.decide(Decided())
    with own_log.transaction(commits=False):
        own_log.events_of(Decided())
    own_log.decide(Decided(versions=(1, 2)))
    assert messages(look(own_log, tmp_path)) == []


def test_events_without_an_outcome(own_log: OwnLog, tmp_path: Path) -> None:
    own_log.decide(Decided())
    lost = Decided(versions=(1, 2), has_outcome=False)
    own_log.decide(lost)
    own_log.decide(Decided())
    [finding] = found(look(own_log, tmp_path))
    assert finding.rule == "W3"
    assert f"2 events of command {lost.command_id} have no outcome" in finding.message


def test_events_that_stand_apart(own_log: OwnLog, tmp_path: Path) -> None:
    torn, other = Decided(versions=(1,)), Decided(versions=(1,))
    with own_log.transaction():
        own_log.events_of(torn)
        middle = own_log.events_of(other)
        end = own_log.events_of(Decided(torn.stream, (2,), torn.command_id))
        own_log.outcome_of(other, middle)
        own_log.outcome_of(Decided(torn.stream, (1, 2), torn.command_id), end)
    rules = messages(look(own_log, tmp_path))
    assert [rule for rule, _ in rules] == ["W3", "W3"]
    assert all(torn.command_id in message for _, message in rules)


def test_an_outcome_whose_events_are_missing(own_log: OwnLog, tmp_path: Path) -> None:
    own_log.decide(Decided())
    ghost = Decided()
    with own_log.transaction():
        own_log.outcome_of(ghost, 1)
    own_log.decide(Decided())
    [(rule, message)] = messages(look(own_log, tmp_path))
    assert rule == "W3"
    assert f"command {ghost.command_id} claims 1 events up to offset 1" in message


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Decided(claimed_count=2), "claims 2 events, 1 stand together"),
        (Decided(claimed_version=7), "claims version 7, the last event has 1"),
    ],
)
def test_an_outcome_that_says_something_else(
    own_log: OwnLog, tmp_path: Path, wrong: Decided, words: str
) -> None:
    own_log.decide(wrong)
    [(rule, message)] = messages(look(own_log, tmp_path))
    assert rule == "W3"
    assert words in message


def test_a_command_decided_twice(own_log: OwnLog, tmp_path: Path) -> None:
    first = Decided()
    own_log.decide(first)
    own_log.decide(Decided(command_id=first.command_id))
    rules = messages(look(own_log, tmp_path))
    assert ("W4", f"command {first.command_id} was decided before") in [
        (rule, message.partition(",")[0]) for rule, message in rules
    ]


def test_an_event_that_stands_twice(own_log: OwnLog, tmp_path: Path) -> None:
    event, command = like(), Decided(versions=(1, 2), has_outcome=False)
    metadata = metadata_of(event, command, 1, START)
    with own_log.transaction():
        for _ in range(2):
            own_log.append(event.model_dump_json().encode(), event_headers(event, metadata))
    rules = messages(look(own_log, tmp_path))
    assert ("W4", f"event {metadata.event_id} stands before") in [
        (rule, message.partition(",")[0]) for rule, message in rules
    ]


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ((1, 3), "jumps to version 3, 2 should follow"),
        ((1, 1), "repeats or goes back to version 1, 2 should follow"),
        ((2, 3), "jumps to version 2, 1 should follow"),
    ],
)
def test_versions_that_do_not_rise_by_one(
    own_log: OwnLog, tmp_path: Path, versions: tuple[int, int], words: str
) -> None:
    own_log.decide(Decided(), Decided("like-wrong", versions, claimed_version=versions[-1]))
    [(rule, message)] = messages(look(own_log, tmp_path))
    assert (rule, message) == ("W5", f"stream like-wrong {words}")


def test_a_stream_under_two_keys(own_log: OwnLog, tmp_path: Path) -> None:
    own_log.decide(Decided("like-moved", (1,)), Decided("like-moved", (2,), key="another key"))
    [(rule, message)] = messages(look(own_log, tmp_path))
    assert rule == "W5"
    assert "under key a key, here under another key" in message


def test_a_body_that_breaks_its_schema(own_log: OwnLog, tmp_path: Path) -> None:
    event, command = like(), Decided()
    headers = event_headers(event, metadata_of(event, command, 1, START))
    with own_log.transaction():
        own_log.append(body(video_id=1), headers)
    broken = [f for f in look(own_log, tmp_path).findings.kept if f.rule == "schema"]
    assert len(broken) == 1


def test_a_record_without_headers(own_log: OwnLog, tmp_path: Path) -> None:
    with own_log.transaction():
        own_log.append(b"{}", [("ce_id", clock.new_id().encode())])
    [(rule, message)] = messages(look(own_log, tmp_path))
    assert rule == "schema"
    assert "is missing" in message
