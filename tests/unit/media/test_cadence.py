"""Which pictures are encoded and where segments begin."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processors.media.cadence import Cadence, Timed
from processors.media.transport_stream import CLOCK_HZ


def run(times_s: Iterable[Fraction | float | int], end_s: float = 0.0) -> list[Timed[int]]:
    cadence: Cadence[int] = Cadence()
    given_out: list[Timed[int]] = []
    for index, time_s in enumerate(times_s):
        given_out += cadence.accept(index, round(time_s * CLOCK_HZ))
    return [*given_out, *cadence.finish(round(end_s * CLOCK_HZ))]


def starts_s(timed: list[Timed[int]]) -> list[float]:
    return [each.pts / CLOCK_HZ for each in timed if each.starts_segment]


def test_a_constant_rate_passes_untouched_and_segments_begin_at_the_marks() -> None:
    timed = run([Fraction(index, 25) for index in range(250)], 10)
    assert [each.pts for each in timed] == [index * 3600 for index in range(250)]
    assert starts_s(timed) == [0, 4, 8]


def test_segments_begin_with_the_first_picture_after_a_mark() -> None:
    timed = run([Fraction(index * 1001, 30_000) for index in range(300)])
    assert starts_s(timed) == [0, 4.004, 8.008]


def test_twice_the_highest_rate_loses_every_other_picture() -> None:
    timed = run([Fraction(index, 120) for index in range(120)])
    assert [each.picture for each in timed] == list(range(0, 120, 2))


def test_sixty_with_times_rounded_to_milliseconds_loses_nothing() -> None:
    assert len(run([round(index * 1000 / 60) / 1000 for index in range(600)])) == 600


def test_a_slow_slide_is_repeated_at_the_marks_only() -> None:
    timed = run([0, 10], 18)
    assert [(each.picture, each.pts / CLOCK_HZ) for each in timed] == [
        (0, 0),
        (0, 4),
        (0, 8),
        (1, 10),
        (1, 12),
        (1, 16),
    ]


def test_times_that_go_back_are_left_out() -> None:
    assert [each.picture for each in run([0, 1, 0.5, 1, 2])] == [0, 1, 4]


@given(st.lists(st.floats(0.001, 20), min_size=1, max_size=60), st.floats(0.001, 20))
def test_no_segment_is_longer_than_four_and_a_half_seconds(
    gaps_s: list[float], tail_s: float
) -> None:
    times_s = [sum(gaps_s[:count]) for count in range(len(gaps_s))]
    end_s = times_s[-1] + tail_s
    timed = run(times_s, end_s)
    begins = [*starts_s(timed), end_s]
    assert begins[0] == 0
    assert max(later - earlier for earlier, later in pairwise(begins)) <= 4.5
    assert all(first.pts < second.pts for first, second in pairwise(timed))
