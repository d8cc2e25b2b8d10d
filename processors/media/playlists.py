"""HLS playlists (RFC 8216): the text, and the rates that they must state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

# Floating-point EXTINF is what needs version 3; nothing here needs a later one.
VERSION = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment: file name, exact duration in seconds, size in bytes."""

    name: str
    duration_s: Fraction
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Variant:
    """What the master playlist says about one rendition; rates in bits a second."""

    playlist: str
    bandwidth: int
    average_bandwidth: int
    width: int
    height: int
    codecs: str
    frame_rate: Fraction


def target_duration_s(segments: Sequence[Segment]) -> int:
    """Return the longest segment duration, rounded to the nearest whole second."""
    longest = max(segment.duration_s for segment in segments)
    return max(1, math.floor(longest + Fraction(1, 2)))


def media_playlist(segments: Sequence[Segment]) -> str:
    """Return the VOD playlist of one rendition."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target_duration_s(segments)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]
    for segment in segments:
        lines += [f"#EXTINF:{float(segment.duration_s):.6f},", segment.name]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def master_playlist(variants: Sequence[Variant]) -> str:
    """Return the master playlist; every segment must begin with an IDR picture."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for variant in variants:
        lines += [_stream_inf(variant), variant.playlist]
    return "\n".join([*lines, ""])


def _stream_inf(variant: Variant) -> str:
    attributes = (
        f"BANDWIDTH={variant.bandwidth}",
        f"AVERAGE-BANDWIDTH={variant.average_bandwidth}",
        f"RESOLUTION={variant.width}x{variant.height}",
        f'CODECS="{variant.codecs}"',
        f"FRAME-RATE={float(variant.frame_rate):.3f}",
    )
    return f"#EXT-X-STREAM-INF:{','.join(attributes)}"


def average_bits_per_second(segments: Sequence[Segment]) -> int:
    """Return all bits over all seconds, rounded up."""
    return _rate(segments)


def peak_bits_per_second(segments: Sequence[Segment]) -> int:
    """Return the peak segment bit rate of RFC 8216 section 4.1, rounded up.

    That is the largest rate over any run of neighbouring segments that lasts between 0.5 and 1.5
    target durations; a rendition too short for such a run has its average as its peak.
    """
    rates = [_rate(run) for run in _runs(segments)]
    return max(rates, default=average_bits_per_second(segments))


def _runs(segments: Sequence[Segment]) -> Iterator[Sequence[Segment]]:
    target = target_duration_s(segments)
    for first in range(len(segments)):
        duration = Fraction(0)
        for last in range(first, len(segments)):
            duration += segments[last].duration_s
            if duration > target * Fraction(3, 2):
                break
            if duration >= target * Fraction(1, 2):
                yield segments[first : last + 1]


def _rate(segments: Sequence[Segment]) -> int:
    bits = 8 * sum(segment.size_bytes for segment in segments)
    return math.ceil(bits / sum((segment.duration_s for segment in segments), Fraction(0)))
