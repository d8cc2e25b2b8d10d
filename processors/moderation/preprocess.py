"""From a decoded picture to a model's input, in numpy alone.

Bilinear scaling repeats OpenCV's arithmetic for 8-bit pictures (weights of 11 bits, two rounding
steps), because that is what the default detector was published with: the result is equal bit for
bit when a picture is made smaller, and within one level of 255 when it is made larger.

A picture is gone through once, a few rows at a time: they are gathered as planes in the model's
order of channels, blended, and written into the model's input as floats. The black of a letterbox
is neither built nor blended.
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.moderation.description import ImageInput

Frame = NDArray[np.uint8]
Tensor = NDArray[np.float32]
_Integers = NDArray[np.int32]

CHANNELS = {"rgb": (0, 1, 2), "bgr": (2, 1, 0)}
WEIGHT_ONE = 1 << 11

# Rows scaled at a time: what is between stays in the cache, which halves the time.
BAND_ROWS = 32


class _Axis(NamedTuple):
    """Per target pixel, its two neighbours in the picture and their weights."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    first_weight: _Integers
    second_weight: _Integers

    def part(self, pixels: slice) -> _Axis:
        """Return the axis of some of the target's pixels."""
        first, second, first_weight, second_weight = self
        return _Axis(first[pixels], second[pixels], first_weight[pixels], second_weight[pixels])


def to_input(frame: Frame, wanted: ImageInput) -> Tensor:
    """Return [3, height, width] for an RGB picture of [height, width, 3]; ValueError for others."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise ValueError(f"not an RGB picture: {frame.dtype} {frame.shape}")
    height, width = frame.shape[:2]
    canvas = (max(height, width),) * 2 if wanted.resize == "letterbox" else (height, width)
    rows = _axis(height, canvas[0], wanted.height)
    columns = _columns(width, canvas[1], wanted.width, wanted.channels)
    values = np.zeros((3, wanted.height, wanted.width), np.float32)
    _fill(values[:, : len(rows.first), : len(columns.first) // 3], frame, rows, columns)
    return _normalised(values, wanted)


def _fill(seen: Tensor, frame: Frame, rows: _Axis, columns: _Axis) -> None:
    """Write the scaled picture, its levels as 0..1, to the part of the input that shows it."""
    for start in range(0, len(rows.first), BAND_ROWS):
        band = slice(start, start + BAND_ROWS)
        levels = _blend_rows(frame, rows.part(band), columns).reshape(-1, 3, seen.shape[2])
        planes = levels.transpose(1, 0, 2)
        np.multiply(planes, np.float32(1 / 255), out=seen[:, band], dtype=np.float32)


def _blend_rows(frame: Frame, band: _Axis, columns: _Axis) -> _Integers:
    upper = _blend_columns(frame[band.first], columns)
    lower = _blend_columns(frame[band.second], columns)
    upper *= band.first_weight[:, None]
    lower *= band.second_weight[:, None]
    upper >>= 16
    lower >>= 16
    upper += lower
    upper += 2
    upper >>= 2
    return upper


def _blend_columns(rows: Frame, columns: _Axis) -> _Integers:
    values = rows.reshape(len(rows), -1)
    blended: _Integers = values.take(columns.first, axis=1) * columns.first_weight
    blended += values.take(columns.second, axis=1) * columns.second_weight
    blended >>= 4
    return blended


def _normalised(values: Tensor, wanted: ImageInput) -> Tensor:
    if any(wanted.mean):
        values -= np.array(wanted.mean, np.float32)[:, None, None]
    if wanted.deviation != (1.0, 1.0, 1.0):
        values /= np.array(wanted.deviation, np.float32)[:, None, None]
    return values


@functools.lru_cache(maxsize=32)
def _axis(length: int, canvas: int, target: int) -> _Axis:
    """Return the axis of a picture that lies at the start of a canvas, as far as it is seen."""
    position = (np.arange(target) + 0.5) * (canvas / target) - 0.5
    first = np.floor(position)
    share = np.where((first < 0) | (first >= canvas - 1), 0.0, position - first)
    first = np.clip(first, 0, canvas - 1).astype(np.intp)
    second = np.minimum(first + 1, canvas - 1)
    second_weight = np.rint(share * WEIGHT_ONE).astype(np.int32)
    first_weight = np.where(first < length, WEIGHT_ONE - second_weight, 0).astype(np.int32)
    second_weight = np.where(second < length, second_weight, 0).astype(np.int32)
    seen = slice(np.count_nonzero(first < length))
    return _Axis(first, np.minimum(second, length - 1), first_weight, second_weight).part(seen)


@functools.lru_cache(maxsize=32)
def _columns(length: int, canvas: int, target: int, order: Literal["rgb", "bgr"]) -> _Axis:
    """Return the axis of a row of RGB bytes: all of the first channel, the second, the third."""
    axis = _axis(length, canvas, target)
    channels = np.array(CHANNELS[order])[:, None]
    first, second = ((place * 3 + channels).ravel() for place in (axis.first, axis.second))
    return _Axis(first, second, np.tile(axis.first_weight, 3), np.tile(axis.second_weight, 3))
