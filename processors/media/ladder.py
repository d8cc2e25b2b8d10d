"""The ladder of renditions, and which of its rungs a source can fill.

A rung is a box of ``width`` x ``height`` for landscape pictures. For a portrait picture the box
is turned, so that the shorter side is what the quality number names. A picture is fitted into
the box with its aspect ratio kept and both sides rounded to even numbers (4:2:0 needs them).
A rung is used only if the source fills its box in one direction at least; nothing is enlarged.
A source smaller than the lowest rung gives that rung alone, in the size of the source.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rung:
    """One quality: its box in pixels and the limits of its rate in bits and bits a second."""

    name: str
    width: int
    height: int
    target_bits_per_second: int
    peak_bits_per_second: int
    buffer_bits: int

    @classmethod
    def of(cls, name: str, width: int, height: int, target_bits_per_second: int) -> Rung:
        """Return the rung whose peak is 1.07 and whose buffer is 1.5 times its target rate."""
        peak = target_bits_per_second * 107 // 100
        return cls(
            name, width, height, target_bits_per_second, peak, target_bits_per_second * 3 // 2
        )


@dataclass(frozen=True, slots=True)
class Rendition:
    """A rung and the size in pixels that a certain source gets on it."""

    rung: Rung
    width: int
    height: int


LADDER = (
    Rung.of("360p", 640, 360, 800_000),
    Rung.of("480p", 842, 480, 1_400_000),
    Rung.of("720p", 1280, 720, 2_800_000),
    Rung.of("1080p", 1920, 1080, 5_000_000),
)


def choose_renditions(
    width: int, height: int, ladder: tuple[Rung, ...] = LADDER
) -> tuple[Rendition, ...]:
    """Return the renditions for an upright source of square pixels, lowest first, at least one."""
    filled = [rung for rung in ladder if _scale(rung, width, height) <= 1]
    return tuple(_fit(rung, width, height) for rung in filled or ladder[:1])


def _scale(rung: Rung, width: int, height: int) -> float:
    """Return the factor that fits the picture into the box, turned for portrait pictures."""
    portrait = height > width
    box_width, box_height = (rung.height, rung.width) if portrait else (rung.width, rung.height)
    return min(box_width / width, box_height / height)


def _fit(rung: Rung, width: int, height: int) -> Rendition:
    scale = min(1.0, _scale(rung, width, height))
    return Rendition(rung, even(width * scale, width), even(height * scale, height))


def even(length: float, limit: int) -> int:
    """Return the nearest even number of pixels that is at least 2 and not over ``limit``."""
    return max(2, min(round(length / 2) * 2, limit // 2 * 2))
