"""Short films whose colours at every moment are known."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from processors.moderation.preprocess import Frame

Colour = tuple[int, int, int]

# The place of a track's display matrix behind the name of its header box (ISO 14496-12, 8.3.2).
MATRIX_OFFSET = 44


@dataclass(frozen=True, slots=True)
class Clip:
    """How a film is made: its length in seconds, frames a second and frames per key frame."""

    seconds: float = 6.0
    frames_per_second: int = 10
    frames_per_keyframe: int = 10
    codec: str = "libx264"
    width: int = 160
    height: int = 96


def solid(colour: Colour, width: int, height: int) -> Frame:
    """Return a picture of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def grey_ramp(time_s: float) -> Colour:
    """Return the grey that tells a moment: 20 levels a second, from 20 up."""
    level = round(20 + 20 * time_s)
    return level, level, level


def write_clip(
    path: Path,
    colour_at: Callable[[float], Colour],
    clip: Clip | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a film that shows one colour at a time."""
    made = clip or Clip()
    with av.open(str(path), "w", options=options or {}) as container:
        stream = _video_stream(container, made.codec, made.frames_per_second)
        stream.width, stream.height, stream.pix_fmt = made.width, made.height, "yuv420p"
        stream.gop_size = made.frames_per_keyframe
        stream.options = {"sc_threshold": "0"} if made.codec == "libx264" else {}
        for index in range(round(made.seconds * made.frames_per_second)):
            colour = colour_at(index / made.frames_per_second)
            frame = av.VideoFrame.from_ndarray(solid(colour, made.width, made.height), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, made.frames_per_second)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_pictures(path: Path, pictures: list[Frame]) -> Path:
    """Write a film of one second per picture, at four frames a second, each a key frame."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = _video_stream(container, "libx264", 4)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = 1
        for picture in (picture for picture in pictures for _ in range(4)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def _video_stream(container: OutputContainer, codec: str, frames_per_second: int) -> VideoStream:
    return cast("VideoStream", container.add_stream(codec, rate=frames_per_second))


def turn_clockwise(path: Path) -> None:
    """Change an MP4 so that players show it turned by 90 degrees, as telephones record it."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + MATRIX_OFFSET
    one = 1 << 16
    struct.pack_into(">9i", content, matrix, 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
