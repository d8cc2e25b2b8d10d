"""One MPEG-TS segment in memory, from packets that are already encoded.

Every segment is written by a muxer of its own, so that it begins with PAT and PMT and can be
decoded alone. The counters of continuity that a fresh muxer starts at zero are then set to go on
from the segment before: players and demuxers treat a jump as lost data.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.packet import Packet
from av.stream import Stream

CLOCK_HZ = 90_000
TIME_BASE = Fraction(1, CLOCK_HZ)
# Decoding times before zero (reordered pictures, the priming of AAC) must stay positive, also
# for a slide show with one picture in four seconds.
_OFFSET = 10 * CLOCK_HZ
_PACKET_BYTES = 188
# The muxer sends the clock reference this long before the data that it is for.
_MUX_DELAY_US = 700_000
_OPTIONS = {
    "avoid_negative_ts": "disabled",
    "max_delay": str(_MUX_DELAY_US),
    "pat_period": "10",
    "sdt_period": "10",
}


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """Coded data with its times on the 90 kHz clock; ``keyframe`` is an IDR for video."""

    data: bytes
    pts: int
    dts: int
    duration: int
    keyframe: bool


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """What the muxer must know of the pictures."""

    width: int
    height: int
    frame_rate: Fraction


class TransportStream:
    """Makes the segments of one rendition, in order, as bytes."""

    def __init__(self, video: VideoFormat, audio_rate: int | None) -> None:
        self._video = video
        self._audio_rate = audio_rate
        self._next_counter: dict[int, int] = {}

    def segment(self, video: Sequence[EncodedPacket], audio: Sequence[EncodedPacket]) -> bytes:
        """Return a segment with these packets, interleaved by decoding time."""
        sink = io.BytesIO()
        with av.open(sink, "w", format="mpegts", options=_OPTIONS) as container:
            pictures: Stream = container.add_mux_stream(
                "h264",
                rate=self._video.frame_rate,
                width=self._video.width,
                height=self._video.height,
            )
            entries = [(packet, pictures) for packet in video]
            if self._audio_rate is not None:
                sound: Stream = container.add_mux_stream("aac", rate=self._audio_rate)
                entries += [(packet, sound) for packet in audio]
            for packet, stream in sorted(entries, key=lambda entry: entry[0].dts):
                container.mux_one(_to_av(packet, stream))
        return self._continue(sink.getvalue())

    def _continue(self, content: bytes) -> bytes:
        """Return the segment with each PID's counter going on from the segment before."""
        packets = np.frombuffer(content, np.uint8).reshape(-1, _PACKET_BYTES).copy()
        identifiers = (packets[:, 1].astype(np.uint16) & 0x1F) << 8 | packets[:, 2]
        with_payload = (packets[:, 3] & 0x10) != 0
        for identifier in np.unique(identifiers).tolist():
            rows = np.flatnonzero((identifiers == identifier) & with_payload)
            first = self._next_counter.get(identifier, 0)
            counters = (first + np.arange(len(rows))) % 16
            packets[rows, 3] = (packets[rows, 3] & 0xF0) | counters.astype(np.uint8)
            self._next_counter[identifier] = (first + len(rows)) % 16
        return packets.tobytes()


def _to_av(packet: EncodedPacket, stream: Stream) -> Packet[Stream]:
    result: Packet[Stream] = Packet(packet.data)
    result.stream = stream
    result.time_base = TIME_BASE
    result.pts = packet.pts + _OFFSET
    result.dts = packet.dts + _OFFSET
    result.duration = packet.duration
    result.is_keyframe = packet.keyframe
    return result
