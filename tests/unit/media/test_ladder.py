"""Which renditions a source gets, and in which size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.media.ladder import LADDER, choose_renditions


def sizes(width: int, height: int) -> dict[str, tuple[int, int]]:
    return {each.rung.name: (each.width, each.height) for each in choose_renditions(width, height)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            (1920, 1080),
            {"360p": (640, 360), "480p": (842, 474), "720p": (1280, 720), "1080p": (1920, 1080)},
        ),
        (
            (1080, 1920),
            {"360p": (360, 640), "480p": (474, 842), "720p": (720, 1280), "1080p": (1080, 1920)},
        ),
        (
            (3840, 2160),
            {"360p": (640, 360), "480p": (842, 474), "720p": (1280, 720), "1080p": (1920, 1080)},
        ),
        ((1280, 720), {"360p": (640, 360), "480p": (842, 474), "720p": (1280, 720)}),
        (
            (1440, 1080),
            {"360p": (480, 360), "480p": (640, 480), "720p": (960, 720), "1080p": (1440, 1080)},
        ),
        ((1280, 536), {"360p": (640, 268), "480p": (842, 352), "720p": (1280, 536)}),
        ((853, 481), {"360p": (638, 360), "480p": (842, 474)}),
        ((640, 640), {"360p": (360, 360), "480p": (480, 480)}),
        ((320, 180), {"360p": (320, 180)}),
        ((65, 33), {"360p": (64, 32)}),
        ((1, 1), {"360p": (2, 2)}),
    ],
)
def test_renditions_of_known_sources(
    source: tuple[int, int], expected: dict[str, tuple[int, int]]
) -> None:
    assert sizes(*source) == expected


@given(st.integers(16, 8192), st.integers(16, 8192))
def test_every_rendition_is_even_inside_its_box_and_not_enlarged(width: int, height: int) -> None:
    for each in choose_renditions(width, height):
        long_side, short_side = sorted((each.width, each.height), reverse=True)
        assert (each.width % 2, each.height % 2) == (0, 0)
        assert (each.width <= width, each.height <= height) == (True, True)
        assert long_side <= max(each.rung.width, each.rung.height)
        assert short_side <= min(each.rung.width, each.rung.height)


def test_limits_follow_the_ratios_of_the_lowest_rung() -> None:
    limits = {rung.name: (rung.peak_bits_per_second, rung.buffer_bits) for rung in LADDER}
    assert limits == {
        "360p": (856_000, 1_200_000),
        "480p": (1_498_000, 2_100_000),
        "720p": (2_996_000, 4_200_000),
        "1080p": (5_350_000, 7_500_000),
    }
