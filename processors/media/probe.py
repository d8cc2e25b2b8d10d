"""What a film is: size, length, rate, codecs; without decoding more than its first picture."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from processors.media.errors import (
    NoVideoStream,
    TruncatedMedia,
    UndecodableMedia,
    UnsupportedCodec,
)
from processors.media.reading import audio_stream, open_media, video_stream

# Less of a file than this, measured against its declared duration, is a truncated file.
READABLE_SHARE_MIN = 0.9


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The sound of a film: codec name, channels, samples a second."""

    codec: str
    channels: int
    sample_rate: int


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """A film as its container and its first picture describe it.

    ``width`` and ``height`` are those of the upright picture with square pixels; ``rotation`` is
    the turn in degrees clockwise (0, 90, 180, 270) that makes the stored picture upright.
    ``duration_s`` is 0 where the container does not say. Rates are in frames and bits a second;
    a ``bitrate`` is that of the whole file. Without video the picture's fields are zero or empty.
    """

    duration_s: float
    width: int
    height: int
    rotation: int
    average_rate: Fraction
    nominal_rate: Fraction
    has_video: bool
    video_codec: str
    pixel_format: str
    audio: AudioInfo | None
    bitrate: int
    container_format: str
    file_size: int


def probe(path: Path) -> MediaInfo:
    """Describe a file; one with sound only has ``has_video`` false.

    Raises ``EmptyFile``, ``NotAVideo``, ``TruncatedMedia`` (no index, or the index lists more than
    a tenth of the film beyond the end of the file), ``UnsupportedCodec`` and ``UndecodableMedia``.
    """
    with open_media(path) as container:
        try:
            video = video_stream(container)
        except NoVideoStream:
            return _describe(path, container, None, None)
        _require_all_of_it(path, video)
        return _describe(path, container, video, _first_picture(container, video))


def probe_video(path: Path) -> MediaInfo:
    """Describe a film like ``probe``, or raise ``NoVideoStream`` if there is none."""
    info = probe(path)
    if not info.has_video:
        raise NoVideoStream
    return info


def _first_picture(container: InputContainer, video: VideoStream) -> VideoFrame:
    if not _has_decoder(video):
        raise UnsupportedCodec
    for packet in container.demux(video):
        try:
            for frame in packet.decode():
                return frame
        except FFmpegError:
            continue
    raise UndecodableMedia


def _has_decoder(video: VideoStream) -> bool:
    context: object = video.codec_context
    return context is not None and video.codec_context.width > 0


def _require_all_of_it(path: Path, video: VideoStream) -> None:
    """Find where the file ends in the index (MP4, MOV): what lies behind it is not there."""
    entries = video.index_entries
    count = len(entries)
    if not count:
        return
    size = path.stat().st_size
    there = bisect_left(range(count), True, key=lambda at: _ends_at(entries, at) > size)
    if there < READABLE_SHARE_MIN * count:
        raise TruncatedMedia


def _ends_at(entries: av.index.IndexEntries, position: int) -> int:
    entry = entries[position]
    return entry.pos + entry.size


def _describe(
    path: Path, container: InputContainer, video: VideoStream | None, frame: VideoFrame | None
) -> MediaInfo:
    rotation = -frame.rotation % 360 if frame else 0
    width, height = _upright_size(video, frame, rotation) if video and frame else (0, 0)
    size = path.stat().st_size
    duration_s = _duration_s(container, video)
    return MediaInfo(
        duration_s=duration_s,
        width=width,
        height=height,
        rotation=rotation,
        average_rate=_average_rate(video),
        nominal_rate=(video.guessed_rate if video else None) or _average_rate(video),
        has_video=video is not None,
        video_codec=video.codec_context.codec.canonical_name if video else "",
        pixel_format=frame.format.name if frame else "",
        audio=_audio_info(audio_stream(container)),
        bitrate=round(size * 8 / duration_s) if duration_s else 0,
        container_format=container.format.name,
        file_size=size,
    )


def _upright_size(video: VideoStream, frame: VideoFrame, rotation: int) -> tuple[int, int]:
    """Square pixels are made by enlarging the side that its pixels stretch, never by shrinking."""
    aspect = video.sample_aspect_ratio or Fraction(1)
    width = round(frame.width * max(Fraction(1), aspect))
    height = round(frame.height * max(Fraction(1), 1 / aspect))
    return (height, width) if rotation in {90, 270} else (width, height)


def _average_rate(video: VideoStream | None) -> Fraction:
    if video is None:
        return Fraction(0)
    return video.average_rate or video.guessed_rate or Fraction(25)


def _duration_s(container: InputContainer, video: VideoStream | None) -> float:
    if container.duration:
        return container.duration / av.time_base
    if video and video.duration and video.time_base:
        return float(video.duration * video.time_base)
    return 0.0


def _audio_info(audio: AudioStream | None) -> AudioInfo | None:
    if audio is None:
        return None
    context = audio.codec_context
    return AudioInfo(context.codec.canonical_name, context.channels, context.sample_rate)
