"""The pictures and the sound of a synthetic film, by time, in plain numpy.

A texture slides across the picture; a red square marks the upper left corner of the upright
picture; at each whole second the picture flashes white and the sound clicks, at the same moment,
so that the order and the distance of the two can be measured in any copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FLASH_S = 0.1
CLICK_S = 0.05
CLICK_HZ = 1000.0
CLICK_LEVEL = 0.8
HUM_HZ = 220.0
HUM_LEVEL = 0.05
SPEED_PIXELS_PER_S = 120
_TEXTURE_MARGIN = 256
_NOISE_PLANES = 7
_NOISE_DEVIATION = 6.0
_WHITE_LUMA = 235
# Red in limited-range BT.601: luma, then the two chroma values.
_RED = (81, 90, 240)

Plane = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32]
Pattern = Literal["pan", "noise"]


@dataclass(frozen=True, slots=True)
class Planes:
    """A 4:2:0 picture of even size in limited range: luma and two chroma planes."""

    luma: Plane
    blue: Plane
    red: Plane

    def stacked(self) -> Plane:
        """Return the planes in one array, as PyAV takes yuv420p."""
        width = self.luma.shape[1]
        planes = [plane.ravel() for plane in (self.luma, self.blue, self.red)]
        return np.concatenate(planes).reshape(-1, width)


class PictureMaker:
    """Draws the upright picture of any moment; the same seed draws the same film."""

    def __init__(self, width: int, height: int, pattern: Pattern, seed: int) -> None:
        self._width, self._height = width, height
        generator = np.random.default_rng(seed)
        self._luma = _texture(generator, height, width, 40, 200)
        self._blue = _texture(generator, height // 2, width // 2, 96, 160)
        self._red = _texture(generator, height // 2, width // 2, 96, 160)
        planes = _NOISE_PLANES if pattern == "noise" else 0
        self._noise = [
            generator.normal(0, _NOISE_DEVIATION, (height, width)).astype(np.int8)
            for _ in range(planes)
        ]

    def draw(self, time_s: float) -> Planes:
        """Return the picture at a time."""
        shift = _triangle(round(time_s * SPEED_PIXELS_PER_S), _TEXTURE_MARGIN)
        luma = self._luma[: self._height, shift : shift + self._width].copy()
        half = shift // 2
        blue = self._blue[: self._height // 2, half : half + self._width // 2].copy()
        red = self._red[: self._height // 2, half : half + self._width // 2].copy()
        if self._noise:
            noise = self._noise[round(time_s * 1000) % len(self._noise)]
            luma = (luma.astype(np.int16) + noise).astype(np.uint8)
        if is_flash(time_s):
            luma[:], blue[:], red[:] = _WHITE_LUMA, 128, 128
        self._mark_corner(luma, blue, red)
        return Planes(luma, blue, red)

    def _mark_corner(self, luma: Plane, blue: Plane, red: Plane) -> None:
        side = max(2, min(self._width, self._height) // 8 * 2)
        luma[:side, :side] = _RED[0]
        blue[: side // 2, : side // 2] = _RED[1]
        red[: side // 2, : side // 2] = _RED[2]


def is_flash(time_s: float) -> bool:
    """Tell whether the picture is white at a time; rounding of times is forgiven."""
    return (time_s + 1e-6) % 1.0 < FLASH_S


def sound(start: int, count: int, sample_rate: int) -> Samples:
    """Return ``count`` samples of one channel from sample ``start`` on: a hum, and clicks."""
    times = (start + np.arange(count)) / sample_rate
    hum = HUM_LEVEL * np.sin(2 * np.pi * HUM_HZ * times)
    click = CLICK_LEVEL * np.sin(2 * np.pi * CLICK_HZ * times)
    return np.where(times % 1.0 < CLICK_S, click, hum).astype(np.float32)


def _triangle(position: int, limit: int) -> int:
    """Return a position that goes from 0 to ``limit`` and back."""
    within = position % (2 * limit)
    return min(within, 2 * limit - within)


def _texture(generator: np.random.Generator, height: int, width: int, low: int, high: int) -> Plane:
    """Return random blots of several sizes, wide enough to slide by the margin."""
    width += _TEXTURE_MARGIN
    total = np.zeros((height, width), np.float32)
    for size, weight in ((64, 1.0), (16, 0.5), (4, 0.25)):
        cells = generator.random((height // size + 2, width // size + 2), np.float32)
        total += weight * np.kron(cells, np.ones((size, size), np.float32))[:height, :width]
    scaled: Plane = (low + (high - low) * total / total.max()).astype(np.uint8)
    return scaled
