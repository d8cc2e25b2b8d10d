"""Measures finished HLS renditions by decoding them again; knows nothing of how they were made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

_PACKET_BYTES = 188
_FLASH_LUMA = 190
_CLICK_LEVEL = 0.3
_IDR = 5


@dataclass(frozen=True)
class Playlist:
    """A media playlist as text says it is: names and seconds of its segments, and its target."""

    names: list[str]
    durations_s: list[float]
    target_s: int


@dataclass(frozen=True)
class Decoded:
    """A rendition decoded from its joined segments; times in seconds since the first picture."""

    picture_times_s: list[float]
    sizes: set[tuple[int, int]]
    formats: set[str]
    flashes_s: list[float]
    clicks_s: list[float]
    sound_from_s: float
    sound_until_s: float
    channels: set[int]
    quiet_picture: np.ndarray


def read_playlist(path: Path) -> Playlist:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == "#EXT-X-ENDLIST"
    target = next(line for line in lines if line.startswith("#EXT-X-TARGETDURATION:"))
    return Playlist(
        names=[line for line in lines if not line.startswith("#")],
        durations_s=[float(line[8:-1]) for line in lines if line.startswith("#EXTINF:")],
        target_s=int(target.split(":")[1]),
    )


def read_master(path: Path) -> dict[str, dict[str, str]]:
    """Return the attributes of each variant by the name of its playlist."""
    lines = path.read_text(encoding="utf-8").splitlines()
    variants = {}
    for line, name in pairwise(lines):
        if line.startswith("#EXT-X-STREAM-INF:"):
            pairs = re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', line)
            variants[name] = {key: value.strip('"') for key, value in pairs}
    return variants


def first_picture_types(segment: Path) -> list[int]:
    """Return the NAL unit types of the first access unit of a segment."""
    with av.open(str(segment)) as container:
        packet = next(container.demux(video=0))
        assert packet.is_keyframe
        return [unit[0] & 0x1F for unit in re.split(rb"\x00\x00\x01", bytes(packet))[1:]]


def pictures_alone(segment: Path) -> int:
    """Return how many pictures a segment gives when nothing else is at hand, without an error."""
    with av.open(str(segment)) as container:
        frames = list(container.decode(video=0))
    assert frames[0].key_frame
    assert not any(frame.is_corrupt for frame in frames)
    return len(frames)


def begins_with_idr(segment: Path) -> bool:
    return _IDR in first_picture_types(segment)


def sequence_parameters(segment: Path) -> str:
    """Return profile, constraints and level of a segment in hexadecimal."""
    with av.open(str(segment)) as container:
        data = bytes(next(container.demux(video=0)))
    units = re.split(rb"\x00\x00\x01", data)[1:]
    return next(unit[1:4].hex() for unit in units if unit[0] & 0x1F == 7)


def counter_jumps(content: bytes) -> int:
    """Count the places where a PID's continuity counter does not rise by one (ISO/IEC 13818-1)."""
    last: dict[int, int] = {}
    jumps = 0
    for at in range(0, len(content), _PACKET_BYTES):
        assert content[at] == 0x47
        identifier = (content[at + 1] & 0x1F) << 8 | content[at + 2]
        if content[at + 3] & 0x10:
            counter = content[at + 3] & 0x0F
            jumps += identifier in last and counter != (last[identifier] + 1) % 16
            last[identifier] = counter
    return jumps


def decode(segments: Sequence[Path], joined: Path) -> Decoded:
    """Join the segments into one stream and decode pictures and sound."""
    joined.write_bytes(b"".join(segment.read_bytes() for segment in segments))
    pictures: list[tuple[float, float]] = []
    sizes: set[tuple[int, int]] = set()
    formats: set[str] = set()
    channels: set[int] = set()
    quiet: np.ndarray | None = None
    sound: list[tuple[float, np.ndarray]] = []
    with av.open(str(joined)) as container:
        frames: Iterator[object] = container.decode(*container.streams)
        for frame in frames:
            if isinstance(frame, VideoFrame):
                luma = _luma(frame)
                pictures.append((frame.time, float(luma.mean())))
                sizes.add((frame.width, frame.height))
                formats.add(frame.format.name)
                if quiet is None and luma.mean() < _FLASH_LUMA:
                    quiet = frame.to_ndarray(format="rgb24")
            elif isinstance(frame, AudioFrame):
                sound.append((frame.time or 0.0, np.abs(frame.to_ndarray()).max(axis=0)))
                channels.add(frame.layout.nb_channels)
    zero = pictures[0][0]
    assert quiet is not None
    return Decoded(
        picture_times_s=[time - zero for time, _ in pictures],
        sizes=sizes,
        formats=formats,
        flashes_s=_onsets([(time - zero, luma > _FLASH_LUMA) for time, luma in pictures]),
        clicks_s=_clicks(sound, zero),
        sound_from_s=sound[0][0] - zero if sound else 0.0,
        sound_until_s=sound[-1][0] + len(sound[-1][1]) / 48_000 - zero if sound else 0.0,
        channels=channels,
        quiet_picture=quiet,
    )


def _luma(frame: VideoFrame) -> np.ndarray:
    assert frame.format.name == "yuv420p"
    return np.asarray(frame.to_ndarray()[: frame.height : 4, ::4])


def _onsets(marks: Sequence[tuple[float, bool]]) -> list[float]:
    states = [False, *(state for _, state in marks)]
    return [
        time for (time, state), before in zip(marks, states, strict=False) if state and not before
    ]


def _clicks(sound: Sequence[tuple[float, np.ndarray]], zero: float) -> list[float]:
    """Return when a click begins: the first loud sample after a tenth of a second without one."""
    found: list[float] = []
    latest = -1.0
    for start, levels in sound:
        for index in np.flatnonzero(levels > _CLICK_LEVEL).tolist():
            time = start - zero + index / 48_000
            if time - latest > 0.1:
                found.append(time)
            latest = time
    return found
