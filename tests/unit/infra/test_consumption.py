"""Noticing a consumer that gets nothing any more."""

from __future__ import annotations

import pytest

from infra.kafka.consumption import Consumption

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
