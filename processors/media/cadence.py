"""Which pictures of a source are encoded, and when.

Pictures keep their own times (a variable rate stays variable), with three rules. The first
picture is at zero. A picture comes at least one frame of the highest rate after the one before,
or is left out. At each mark (every ``SEGMENT_S`` seconds) a segment begins: the first picture at
or after the mark is its key picture, and if none comes within ``MARK_SLACK_S`` of the mark, the
picture before it is repeated at the mark. So a segment lasts 4.45 s at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

from processors.media.transport_stream import CLOCK_HZ

SEGMENT_S = 4
MARK_SLACK_S = Fraction(45, 100)
FRAME_RATE_MAX = 60

Picture = TypeVar("Picture")


@dataclass(frozen=True, slots=True)
class Timed(Generic[Picture]):
    """A picture, its time in ticks of 90 kHz, and whether a segment begins with it."""

    picture: Picture
    pts: int
    starts_segment: bool


class Cadence(Generic[Picture]):
    """Turns the times of a source into the times of its renditions, one picture at a time."""

    def __init__(self, frame_rate_max: Fraction | int = FRAME_RATE_MAX) -> None:
        self._step = Fraction(CLOCK_HZ) / frame_rate_max
        # Times in containers are rounded, so a picture may come a little early.
        self._tolerance = self._step / 4
        self._due = Fraction(0)
        self._next_mark = 0
        self._last: Timed[Picture] | None = None

    @property
    def last_pts(self) -> int:
        """The time of the latest picture given out, 0 before the first."""
        return self._last.pts if self._last else 0

    def accept(self, picture: Picture, pts: int) -> Iterator[Timed[Picture]]:
        """Yield what is encoded now: repeats of the picture before, then this one, or nothing."""
        if pts < self._due - self._tolerance or (self._last and pts <= self._last.pts):
            return
        yield from self._repeat_until(pts)
        self._due = max(self._due, Fraction(pts)) + self._step
        yield self._give(picture, pts)

    def finish(self, end: int) -> Iterator[Timed[Picture]]:
        """Yield repeats of the last picture for the marks that lie before ``end``."""
        yield from self._repeat_until(end)

    def _repeat_until(self, pts: int) -> Iterator[Timed[Picture]]:
        slack = MARK_SLACK_S * CLOCK_HZ
        while self._last and pts > self._next_mark + slack:
            yield self._give(self._last.picture, self._next_mark)

    def _give(self, picture: Picture, pts: int) -> Timed[Picture]:
        starts = pts >= self._next_mark
        if starts:
            self._next_mark = (pts // (SEGMENT_S * CLOCK_HZ) + 1) * SEGMENT_S * CLOCK_HZ
        self._last = Timed(picture, pts, starts)
        return self._last
