from __future__ import annotations

from events.base import TopicPartition
from infra.lag import Lag
from infra.log_tools.verify.findings import KEPT_MAX, Findings
from infra.log_tools.verify.positions import Claimed, check_committed, check_ends

PLACE = TopicPartition("events.videos", 0)


def lines(findings: Findings) -> list[str]:
    return [finding.line() for finding in findings.kept]


def test_a_position_may_be_at_the_end_but_not_beyond() -> None:
    findings = Findings()
    claims = [Claimed("one", PLACE, 10), Claimed("two", PLACE, 9), Claimed("three", PLACE, 11)]
    check_ends(claims, {PLACE: 10}, findings)
    assert lines(findings) == [
        "position  events.videos-0@11  three claims to be at 11, the log ends at 10"
    ]


def test_a_position_in_a_partition_that_does_not_exist_is_found() -> None:
    findings = Findings()
    check_ends([Claimed("one", PLACE, 1)], {}, findings)
    assert findings.total == 1


def test_nothing_may_be_committed_that_no_projection_of_the_store_has() -> None:
    findings = Findings()
    lags = [Lag("one", PLACE, 5, 10, 0.0), Lag("two", PLACE, 7, 10, 0.0)]
    check_committed("redis", {PLACE: 7}, lags, findings)
    assert findings.total == 0
    check_committed("redis", {PLACE: 8}, lags, findings)
    assert lines(findings) == [
        "R2  events.videos-0@8  the readers of redis committed 8, the store itself is at 7"
    ]


def test_findings_are_counted_beyond_those_that_are_kept() -> None:
    findings = Findings()
    for number in range(KEPT_MAX + 5):
        findings.add("W5", PLACE, number, "wrong")
    assert len(findings.kept) == KEPT_MAX
    assert findings.total == KEPT_MAX + 5
