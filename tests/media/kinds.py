"""The kinds of source that people upload, as synthetic clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from processors.media.clips import ClipOptions, Layout, make_clip

NTSC = Fraction(30_000, 1001)
FIELDS = (("preset", "ultrafast"), ("flags", "+ildct+ilme"))
FAST_VP = (("deadline", "realtime"), ("cpu-used", "8"))


@dataclass(frozen=True)
class Kind:
    """A source and what its stream must be: sizes by quality, duration and rate of pictures."""

    name: str
    suffix: str
    seconds: float
    width: int
    height: int
    expected: dict[str, tuple[int, int]]
    fps: Fraction | int = 30
    audio: Layout | None = "stereo"
    options: ClipOptions = field(default_factory=ClipOptions)
    duration_s: float | None = None
    rate: float | None = None

    @property
    def expected_duration_s(self) -> float:
        return self.seconds if self.duration_s is None else self.duration_s

    @property
    def expected_rate(self) -> float:
        return float(self.fps) if self.rate is None else self.rate

    def make(self, folder: Path) -> Path:
        path = folder / f"{self.name}.{self.suffix}"
        make_clip(
            path,
            self.seconds,
            self.width,
            self.height,
            fps=self.fps,
            audio=self.audio,
            options=self.options,
        )
        return path


_SMALL = {"360p": (320, 180)}
_360 = {"360p": (640, 360)}
_480 = {**_360, "480p": (842, 474)}
_ALL = {**_480, "720p": (1280, 720), "1080p": (1920, 1080)}

KINDS = (
    Kind("full_hd", "mp4", 4.4, 1920, 1080, _ALL, fps=25),
    Kind("plain", "mp4", 9, 640, 360, _360),
    Kind(
        "ntsc_surround", "mkv", 9, 640, 360, _360, Fraction(30_000, 1001), "5.1", duration_s=9.009
    ),
    Kind("sixty", "mov", 5, 320, 180, _SMALL, fps=60),
    Kind("faster_than_sixty", "mp4", 3, 320, 180, _SMALL, fps=120, rate=60),
    Kind("portrait", "mov", 4.4, 480, 842, {"360p": (360, 632), "480p": (480, 842)}, fps=25),
    Kind("turned_90", "mp4", 3, 640, 360, _360, options=ClipOptions(rotation=90)),
    Kind("turned_180", "mp4", 3, 640, 360, _360, options=ClipOptions(rotation=180)),
    Kind("turned_270", "mp4", 3, 360, 640, {"360p": (360, 640)}, options=ClipOptions(rotation=270)),
    Kind(
        "vp9_opus",
        "webm",
        4.4,
        640,
        360,
        _360,
        options=ClipOptions(video_codec="libvpx-vp9", encoder_options=FAST_VP),
    ),
    Kind(
        "vp8_opus",
        "webm",
        3,
        320,
        180,
        _SMALL,
        audio="mono",
        options=ClipOptions(video_codec="libvpx", encoder_options=FAST_VP),
    ),
    Kind(
        "odd_size_444",
        "mkv",
        3,
        853,
        481,
        {"360p": (638, 360), "480p": (842, 474)},
        fps=25,
        audio="mono",
        options=ClipOptions(pixel_format="yuv444p"),
    ),
    Kind("ten_bits", "mp4", 3, 640, 360, _360, options=ClipOptions(pixel_format="yuv420p10le")),
    Kind("full_range", "mp4", 3, 640, 360, _360, options=ClipOptions(full_range=True)),
    Kind(
        "variable_rate",
        "mp4",
        5,
        320,
        180,
        _SMALL,
        options=ClipOptions(variable_rate=True),
        rate=101 / 5,
    ),
    Kind(
        "anamorphic",
        "mp4",
        3,
        720,
        576,
        {"360p": (640, 360), "480p": (842, 474)},
        fps=25,
        options=ClipOptions(pixel_aspect=Fraction(64, 45)),
    ),
    Kind("interlaced", "mkv", 3, 320, 180, _SMALL, options=ClipOptions(encoder_options=FIELDS)),
    Kind("tiny_silent", "mp4", 5, 64, 64, {"360p": (64, 64)}, audio=None),
    Kind("transport_stream", "ts", 5, 320, 180, _SMALL, fps=25),
    Kind("sound_begins_late", "mp4", 5, 320, 180, _SMALL, options=ClipOptions(audio_delay_s=1.5)),
    Kind("sound_ends_early", "mkv", 16, 320, 180, _SMALL, options=ClipOptions(audio_seconds=2.0)),
    Kind(
        "sound_goes_on",
        "mp4",
        2,
        320,
        180,
        _SMALL,
        options=ClipOptions(audio_seconds=9.0),
        duration_s=9.0,
        rate=62 / 9,
    ),
    Kind("slides", "mkv", 18, 320, 180, _SMALL, fps=Fraction(2, 9), rate=8 / 18),
)
