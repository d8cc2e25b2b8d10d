"""What may be chosen for a transcode, what it reports and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from processors.media.ladder import LADDER, Rung
from processors.media.probe import MediaInfo

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class TranscodeOptions:
    """How renditions are made.

    ``preset`` is one of x264. ``threads`` is how many cores may be used; 0 takes all that this
    process may run on. ``queue_frames_max`` bounds the pictures between two threads, and with them
    the memory. A film over ``duration_max_s`` is refused.
    """

    ladder: tuple[Rung, ...] = LADDER
    preset: str = "veryfast"
    constant_rate_factor: int = 20
    group_of_pictures_max: int = 48
    frame_rate_max: int = 60
    audio_bits_per_second: int = 128_000
    thumbnail_at_s: float = 5.0
    threads: int = 0
    queue_frames_max: int = 8
    duration_max_s: float = 12 * _HOUR_S


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transcode is.

    ``stage`` is ``probe``, ``encode``, ``package`` or ``done``; ``fraction`` of the whole runs from
    0 to 1; ``rate`` is seconds of film a second of work.
    """

    stage: str
    fraction: float
    rate: float


@dataclass(frozen=True, slots=True)
class RenditionResult:
    """One rendition; sizes in bytes, rates in bits a second measured over its segments."""

    quality: str
    width: int
    height: int
    bitrate: int
    peak_bitrate: int
    file_size: int
    segment_count: int
    codecs: str
    frame_rate: Fraction
    playlist: Path

    def moved_to(self, folder: Path) -> RenditionResult:
        """Return the same rendition with its files in another folder."""
        return replace(self, playlist=folder / self.playlist.name)


@dataclass(frozen=True, slots=True)
class TranscodeResult:
    """A finished transcode: the files are in the folder that was asked for, and complete."""

    duration_s: float
    renditions: tuple[RenditionResult, ...]
    master_playlist: Path
    thumbnail: Path
    source: MediaInfo
    damaged_packets: int
