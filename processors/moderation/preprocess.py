"""From a decoded picture to a model's input, in numpy alone.

Bilinear scaling repeats OpenCV's arithmetic for 8-bit pictures (weights of 11 bits, two rounding
steps), because that is what the default detector was published with: the result is equal bit for
bit when a picture is made smaller, and within one level of 255 when it is made larger.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from processors.moderation.description import ImageInput

Frame = NDArray[np.uint8]
Tensor = NDArray[np.float32]
_Integers = NDArray[np.int32]

WEIGHT_ONE = 1 << 11

# Rows scaled at a time: what is between stays in the cache, which halves the time.
BAND_ROWS = 64


def to_input(frame: Frame, wanted: ImageInput) -> Tensor:
    """Return [3, height, width] for an RGB picture of [height, width, 3]; ValueError for others."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or frame.size == 0:
        raise ValueError(f"not an RGB picture: {frame.dtype} {frame.shape}")
    scaled = _scale(frame, wanted)
    if wanted.channels == "bgr":
        scaled = scaled[:, :, ::-1]
    planes = scaled.transpose(2, 0, 1)
    values: Tensor = np.multiply(planes, np.float32(1 / 255), dtype=np.float32, order="C")
    return _normalised(values, wanted)


def _scale(frame: Frame, wanted: ImageInput) -> Frame:
    height, width = frame.shape[:2]
    if wanted.resize == "letterbox":
        height = width = max(height, width)
    return resize_bilinear(frame, (height, width), (wanted.height, wanted.width))


def _normalised(values: Tensor, wanted: ImageInput) -> Tensor:
    if any(wanted.mean):
        values -= np.array(wanted.mean, np.float32)[:, None, None]
    if wanted.deviation != (1.0, 1.0, 1.0):
        values /= np.array(wanted.deviation, np.float32)[:, None, None]
    return values


def resize_bilinear(frame: Frame, canvas: tuple[int, int], target: tuple[int, int]) -> Frame:
    """Return the picture, laid at the top left of a black canvas, scaled to the target.

    All sizes are (height, width). The black is never built: pixels outside weigh nothing.
    """
    top, bottom, top_weight, bottom_weight = _axis(frame.shape[0], canvas[0], target[0])
    left, right, left_weight, right_weight = _axis(frame.shape[1], canvas[1], target[1])
    columns = (left, right, left_weight[:, None], right_weight[:, None])
    scaled = np.empty((*target, 3), np.uint8)
    for start in range(0, target[0], BAND_ROWS):
        band = slice(start, start + BAND_ROWS)
        upper = _blend_columns(frame[top[band]], *columns)
        lower = _blend_columns(frame[bottom[band]], *columns)
        scaled[band] = _blend_rows(upper, lower, top_weight[band], bottom_weight[band])
    return scaled


def _blend_columns(
    rows: Frame, left: _Integers, right: _Integers, left_weight: _Integers, right_weight: _Integers
) -> _Integers:
    blended: _Integers = rows.take(left, axis=1) * left_weight
    blended += rows.take(right, axis=1) * right_weight
    blended >>= 4
    return blended


def _blend_rows(
    upper: _Integers, lower: _Integers, upper_weight: _Integers, lower_weight: _Integers
) -> _Integers:
    upper *= upper_weight[:, None, None]
    lower *= lower_weight[:, None, None]
    upper >>= 16
    lower >>= 16
    upper += lower
    upper += 2
    upper >>= 2
    return upper


@functools.lru_cache(maxsize=32)
def _axis(
    length: int, canvas: int, target: int
) -> tuple[_Integers, _Integers, _Integers, _Integers]:
    """Return, per target pixel, its two neighbours in the picture and their weights."""
    position = (np.arange(target) + 0.5) * (canvas / target) - 0.5
    first = np.floor(position)
    share = np.where((first < 0) | (first >= canvas - 1), 0.0, position - first)
    first = np.clip(first, 0, canvas - 1).astype(np.int32)
    second = np.minimum(first + 1, canvas - 1)
    second_weight = np.rint(share * WEIGHT_ONE).astype(np.int32)
    first_weight = np.where(first < length, WEIGHT_ONE - second_weight, 0).astype(np.int32)
    second_weight = np.where(second < length, second_weight, 0).astype(np.int32)
    inside = length - 1
    return np.minimum(first, inside), np.minimum(second, inside), first_weight, second_weight
