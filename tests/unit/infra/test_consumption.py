"""Noticing a consumer that gets nothing any more."""

from __future__ import annotations

import pytest

from infra.kafka.consumption import BLIND_S, Consumption

HERE, THERE = ("commands.videos", 0), ("commands.videos", 1)


@pytest.fixture
def consumption() -> Consumption:
    made = Consumption()
    made.note({HERE: 5, THERE: 7})
    return made


def test_one_that_has_read_everything_is_left_alone(consumption: Consumption) -> None:
    for _ in range(3):
        assert consumption.complaint({HERE: 5, THERE: 7}) == ""


def test_one_that_stands_since_the_last_look_is_told_of(consumption: Consumption) -> None:
    assert consumption.complaint({HERE: 5, THERE: 9}) == ""
    assert consumption.complaint({HERE: 5, THERE: 9}) == (
        "it stands at 7 of commands.videos/1, which ends at 9"
    )


def test_one_that_gets_on_is_left_alone_however_far_behind(consumption: Consumption) -> None:
    for at in range(7, 12):
        consumption.note({THERE: at})
        assert consumption.complaint({HERE: 5, THERE: 90}) == ""


def test_one_that_was_behind_and_came_to_the_end_starts_anew(consumption: Consumption) -> None:
    consumption.complaint({HERE: 6, THERE: 7})
    consumption.note({HERE: 6})
    assert consumption.complaint({HERE: 6, THERE: 7}) == ""
    assert consumption.complaint({HERE: 8, THERE: 7}) == ""


def test_one_that_read_what_the_log_does_not_hold_is_told_of_at_once(
    consumption: Consumption,
) -> None:
    assert "5 of commands.videos/0, which ends at 2" in consumption.complaint({HERE: 2, THERE: 7})


def test_what_others_read_is_forgotten(consumption: Consumption) -> None:
    consumption.forget([HERE])
    assert consumption.places() == [THERE]
    assert consumption.complaint({THERE: 7}) == ""


def test_a_log_that_does_not_answer_for_long_is_told_of(consumption: Consumption) -> None:
    assert consumption.unanswered(7.0, "no leader") == ""
    assert consumption.unanswered(6.0 + BLIND_S, "no leader") == ""
    assert "no leader" in consumption.unanswered(7.0 + BLIND_S, "no leader")


def test_an_answer_or_a_record_makes_up_for_what_was_not_answered(
    consumption: Consumption,
) -> None:
    consumption.unanswered(7.0, "no leader")
    consumption.complaint({HERE: 5, THERE: 7})
    assert consumption.unanswered(7.0 + BLIND_S, "no leader") == ""
    consumption.note({HERE: 6})
    assert consumption.unanswered(7.0 + 2 * BLIND_S, "no leader") == ""


def test_that_nothing_came_makes_up_for_nothing(consumption: Consumption) -> None:
    consumption.unanswered(7.0, "no leader")
    consumption.note({})
    assert consumption.unanswered(7.0 + BLIND_S, "no leader")
