"""Makes synthetic films in many forms: for demonstrations, measurements and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from processors.media.clip_patterns import Pattern, PictureMaker, Plane, Planes, sound

Layout = Literal["mono", "stereo", "5.1"]
_SAMPLE_RATE = 48_000
_BLOCK_SAMPLES = 960
_TIME_BASE = Fraction(1, 90_000)
_SOUND_CODECS = {
    ".webm": "libopus",
    ".mp3": "libmp3lame",
    ".wav": "pcm_s16le",
    ".avi": "libmp3lame",
}


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """The form of a clip; the container follows from the suffix of its path.

    ``rotation`` is the turn in degrees clockwise that players must make: the pictures are stored
    turned the other way. With ``variable_rate`` pictures are left out irregularly, never one that
    begins a second. ``pixel_aspect`` is the width of a pixel over its height. ``video_codec`` None
    makes sound only. ``audio_delay_s`` lets the sound begin later, at its right place in time.
    """

    video_codec: str | None = "libx264"
    pixel_format: str = "yuv420p"
    rotation: Literal[0, 90, 180, 270] = 0
    variable_rate: bool = False
    pixel_aspect: Fraction = Fraction(1)
    full_range: bool = False
    pattern: Pattern = "pan"
    seed: int = 1
    audio_seconds: float | None = None
    audio_delay_s: float = 0.0
    encoder_options: tuple[tuple[str, str], ...] = (("preset", "ultrafast"),)


def make_clip(
    path: Path,
    seconds: float,
    width: int,
    height: int,
    *,
    fps: Fraction | int = 30,
    audio: Layout | None = "stereo",
    options: ClipOptions | None = None,
) -> None:
    """Write a clip of ``width`` x ``height`` upright pixels, with a flash and a click each second.

    The first flash and the first click are at time zero. The same arguments give the same film.
    """
    options = options or ClipOptions()
    with av.open(str(path), "w") as container:
        tracks: list[_PictureTrack | _SoundTrack] = []
        if options.video_codec is not None:
            tracks.append(
                _PictureTrack(container, (width, height), Fraction(fps), seconds, options)
            )
        if audio is not None:
            length_s = seconds if options.audio_seconds is None else options.audio_seconds
            codec = _SOUND_CODECS.get(path.suffix, "aac")
            tracks.append(_SoundTrack(container, codec, audio, length_s, options.audio_delay_s))
        _write(tracks)


def _write(tracks: list[_PictureTrack | _SoundTrack]) -> None:
    """Advance the track that is behind, until all have ended."""
    going = list(tracks)
    while going:
        track = min(going, key=lambda each: each.time_s)
        if not track.advance():
            going.remove(track)


class _PictureTrack:
    """Draws, turns, converts and encodes one picture a call."""

    def __init__(
        self,
        container: OutputContainer,
        size: tuple[int, int],
        rate: Fraction,
        seconds: float,
        options: ClipOptions,
    ) -> None:
        self.time_s = 0.0
        self._container = container
        self._size = _stored(size, options.rotation)
        self._options = options
        self._stream = self._add_stream(rate)
        even_width, even_height = (length + length % 2 for length in size)
        self._maker = PictureMaker(even_width, even_height, options.pattern, options.seed)
        self._times = _picture_times(round(seconds * rate), rate, variable=options.variable_rate)

    def advance(self) -> bool:
        """Write the next picture; false after the last one."""
        time = next(self._times, None)
        frame = None if time is None else self._frame(time)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        self.time_s = float(time or 0)
        return time is not None

    def _add_stream(self, rate: Fraction) -> VideoStream:
        codec = self._options.video_codec or ""
        stream = self._container.add_stream(codec, rate, dict(self._options.encoder_options))
        if not isinstance(stream, VideoStream):
            raise TypeError(codec)
        stream.width, stream.height = self._size
        stream.pix_fmt = self._options.pixel_format
        stream.codec_context.time_base = _TIME_BASE if self._options.variable_rate else 1 / rate
        stream.codec_context.sample_aspect_ratio = self._options.pixel_aspect
        if self._options.full_range:
            stream.codec_context.color_range = 2
        if self._options.rotation:
            stream.set_display_rotation(-self._options.rotation)
        return stream

    def _frame(self, time: Fraction) -> VideoFrame:
        planes = _turned(self._maker.draw(float(time)), self._options.rotation)
        frame = VideoFrame.from_ndarray(planes.stacked(), "yuv420p")
        frame = frame.reformat(
            *self._size,
            self._options.pixel_format,
            src_color_range="MPEG",
            dst_color_range="JPEG" if self._options.full_range else "MPEG",
        )
        frame.time_base = self._stream.codec_context.time_base
        frame.pts = round(time / frame.time_base)
        return frame


class _SoundTrack:
    """Encodes 20 ms a call, the same in all channels."""

    def __init__(
        self, container: OutputContainer, codec: str, layout: Layout, seconds: float, delay_s: float
    ) -> None:
        self._container = container
        self._position = round(delay_s * _SAMPLE_RATE)
        self._end = round(seconds * _SAMPLE_RATE)
        self._layout = layout
        stream = container.add_stream(codec, _SAMPLE_RATE, layout=layout)
        if not isinstance(stream, AudioStream):
            raise TypeError(codec)
        self._stream = stream

    @property
    def time_s(self) -> float:
        return self._position / _SAMPLE_RATE

    def advance(self) -> bool:
        """Write the next block; false after the last one."""
        count = min(_BLOCK_SAMPLES, self._end - self._position)
        frame = self._frame(count) if count > 0 else None
        for packet in self._stream.encode(frame):
            self._container.mux(packet)
        return frame is not None

    def _frame(self, count: int) -> AudioFrame:
        channels = {"mono": 1, "stereo": 2, "5.1": 6}[self._layout]
        samples = np.tile(sound(self._position, count, _SAMPLE_RATE), (channels, 1))
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", self._layout)
        frame.sample_rate = _SAMPLE_RATE
        frame.time_base = Fraction(1, _SAMPLE_RATE)
        frame.pts = self._position
        self._position += count
        return frame


def _stored(size: tuple[int, int], rotation: int) -> tuple[int, int]:
    return size[::-1] if rotation in {90, 270} else size


def _turned(planes: Planes, rotation: int) -> Planes:
    """Return the planes turned counterclockwise, as a camera held on its side stores them."""

    def turn(plane: Plane) -> Plane:
        return np.ascontiguousarray(np.rot90(plane, rotation // 90))

    return Planes(turn(planes.luma), turn(planes.blue), turn(planes.red))


def _picture_times(count: int, rate: Fraction, *, variable: bool) -> Iterator[Fraction]:
    """Yield the times in seconds; a variable rate leaves out two of three in odd half seconds."""
    for index in range(count):
        time = index / rate
        sparse = variable and time % 1 >= Fraction(1, 2)
        if not sparse or index % 3 == 0 or index == count - 1:
            yield time
