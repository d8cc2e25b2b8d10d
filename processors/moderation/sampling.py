"""A few frames of a film, evenly spread and cheap to get.

Where key frames are dense enough, a sample is the last key frame at or before its time, decoded
alone. Where two samples would fall on the same key frame, the film is decoded forward to the
sample's time instead, each stretch at most once, so the cost never exceeds one full decode. What
is shown only between the key frames of a densely keyed film can therefore be missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from processors.media.reading import OPTIONS
from processors.moderation.errors import UnreadableMedia
from processors.moderation.preprocess import Frame

# A damaged or hostile header may claim any size; a decoder allocates what it claims. 8K is 33M.
PIXELS_MAX = 64_000_000
BEFORE_EVERYTHING = -math.inf


@dataclass(frozen=True, slots=True)
class Sampling:
    """One frame per interval, but no more than a number of frames for the whole film."""

    interval_s: float = 2.0
    frames_max: int = 60

    def __post_init__(self) -> None:
        """Raise ValueError unless both are positive."""
        if self.interval_s <= 0 or self.frames_max < 1:
            raise ValueError(f"cannot sample by {self}")


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """An upright RGB picture of [height, width, 3] and its time in seconds from the start."""

    time_s: float
    picture: Frame


def sample_times(duration_s: float, sampling: Sampling) -> list[float]:
    """Return the middle of each of the equal parts that a film is cut into."""
    parts = math.ceil(duration_s / sampling.interval_s)
    parts = min(max(parts, 1), sampling.frames_max)
    return [(part + 0.5) * duration_s / parts for part in range(parts)]


def sample_frames(path: Path, sampling: Sampling, threads: int = 1) -> Iterator[TimedFrame]:
    """Yield frames of the first video stream in the order of their times.

    Raises UnreadableMedia when the file is no video or when nothing of it can be decoded.
    """
    with ExitStack() as stack:
        keyframes = _KeyFrames(_Source(path, stack, threads))
        forward = _Forward(path, stack, threads)
        last_s = BEFORE_EVERYTHING
        for target_s in sample_times(keyframes.source.duration_s(), sampling):
            if target_s <= last_s:
                continue
            found = _sample(keyframes, forward, target_s, last_s)
            if found is not None:
                last_s = found.time_s
                yield found
        if last_s == BEFORE_EVERYTHING:
            raise UnreadableMedia("Not one picture of this file can be read.")


def _sample(
    keyframes: _KeyFrames, forward: _Forward, target_s: float, last_s: float
) -> TimedFrame | None:
    packet = keyframes.before(target_s)
    key_s = BEFORE_EVERYTHING if packet is None else keyframes.source.seconds(packet.pts)
    frame = None
    if packet is not None and key_s > last_s:
        frame = keyframes.decode_alone(packet)
    if frame is None:
        frame = forward.frame_at(key_s, target_s)
    return None if frame is None else keyframes.source.timed(frame, target_s)


class _Source:
    """An open file and its first moving video stream; closed by the stack."""

    def __init__(self, path: Path, stack: ExitStack, threads: int) -> None:
        self.container = _open(path)
        stack.callback(self.container.close)
        self.stream = _moving_stream(self.container)
        self.stream.codec_context.options = {"max_pixels": str(PIXELS_MAX)}
        self.stream.codec_context.thread_count = threads
        self.start = self.stream.start_time or 0
        self.tick_s = float(self.stream.time_base or Fraction(1, av.time_base))

    def seconds(self, timestamp: int | None) -> float:
        """Return a timestamp of the stream in seconds from the stream's start."""
        if timestamp is None:
            return BEFORE_EVERYTHING
        return (timestamp - self.start) * self.tick_s

    def seek(self, time_s: float) -> bool:
        """Go to the key frame at or before a time; False when the file cannot be sought."""
        timestamp = self.start + round(time_s / self.tick_s)
        try:
            self.container.seek(timestamp, stream=self.stream)
        except av.FFmpegError:
            return False
        return True

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield what is left; damage ends the file where it stands."""
        try:
            yield from self.container.demux(self.stream)
        except av.FFmpegError:
            return

    def duration_s(self) -> float:
        """Return the declared length, or the one that the timestamps show."""
        if self.stream.duration:
            return self.stream.duration * self.tick_s
        if self.container.duration:
            return self.container.duration / av.time_base
        times = (self.seconds(packet.pts) for packet in self.packets())
        return max(0.0, max(times, default=0.0))

    def timed(self, frame: VideoFrame, target_s: float) -> TimedFrame:
        """Return the picture turned upright; a frame without a time gets the wanted one."""
        time_s = self.seconds(frame.pts)
        picture = cast("Frame", frame.to_ndarray(format="rgb24"))
        upright = np.rot90(picture, frame.rotation // 90)
        return TimedFrame(target_s if time_s == BEFORE_EVERYTHING else time_s, upright)


class _KeyFrames:
    """Finds key frames and decodes them alone."""

    def __init__(self, source: _Source) -> None:
        self.source = source

    def before(self, time_s: float) -> Packet[VideoStream] | None:
        """Return the last key frame at or before a time, undecoded."""
        if not self.source.seek(time_s):
            return None
        return next((packet for packet in self.source.packets() if packet.is_keyframe), None)

    def decode_alone(self, packet: Packet[VideoStream]) -> VideoFrame | None:
        """Return the packet's picture, without waiting for the packets after it."""
        decoder = self.source.stream.codec_context
        try:
            frames = [*decoder.decode(packet), *decoder.decode(None)]
        except av.FFmpegError:
            return None
        return frames[0] if frames else None


class _Forward:
    """Decodes forward through a file of its own, opened when it is first needed."""

    def __init__(self, path: Path, stack: ExitStack, threads: int) -> None:
        self._path, self._stack, self._threads = path, stack, threads
        self._source: _Source | None = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._position_s = BEFORE_EVERYTHING

    def frame_at(self, key_s: float, time_s: float) -> VideoFrame | None:
        """Return the first frame at or after a time, whose nearest key frame is given."""
        source = self._opened()
        if key_s > self._position_s and source.seek(key_s):
            self._frames = _decode(source)
        for frame in self._frames:
            self._position_s = source.seconds(frame.pts)
            if self._position_s >= time_s:
                return frame
        return None

    def _opened(self) -> _Source:
        if self._source is None:
            self._source = _Source(self._path, self._stack, self._threads)
            self._source.stream.thread_type = "AUTO"
            self._frames = _decode(self._source)
        return self._source


def _decode(source: _Source) -> Iterator[VideoFrame]:
    """Yield every frame that can be decoded; a damaged packet is passed over."""
    for packet in source.packets():
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _open(path: Path) -> InputContainer:
    try:
        return av.open(str(path), options=OPTIONS)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnreadableMedia("This file cannot be opened as a video.") from error


def _moving_stream(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise UnreadableMedia("This file holds no video stream.")
