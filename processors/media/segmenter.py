"""Cuts the packets of one rendition into segment files at the marks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from processors.media.playlists import Segment
from processors.media.transport_stream import CLOCK_HZ, EncodedPacket, TransportStream


@dataclass(slots=True)
class _Open:
    """Pictures from ``start`` on; ``end`` is known when the next segment begins."""

    start: int
    pictures: list[EncodedPacket]
    end: int | None = None


class Segmenter:
    """Writes ``<name>_000.ts`` and so on into a folder.

    A segment begins with the key picture whose time was announced by ``begin_at`` and is written
    when the next one has begun and the sound reaches its end. Segments wait in memory until then.
    """

    def __init__(self, folder: Path, name: str, stream: TransportStream, *, sound: bool) -> None:
        self.segments: list[Segment] = []
        self._folder = folder
        self._name = name
        self._stream = stream
        self._starts: deque[int] = deque()
        self._waiting: deque[_Open] = deque()
        self._sound: deque[EncodedPacket] = deque()
        self._sound_until = 0 if sound else None

    def begin_at(self, pts: int) -> None:
        """Announce that the picture of this time is a key picture with which a segment begins."""
        self._starts.append(pts)

    def add_sound(self, packets: Sequence[EncodedPacket]) -> None:
        """Add packets of the sound track, in order."""
        self._sound.extend(packets)
        if packets:
            self._sound_until = packets[-1].pts + packets[-1].duration

    def add_pictures(self, packets: Sequence[EncodedPacket]) -> None:
        """Add packets of pictures, in the order of the encoder."""
        for packet in packets:
            if self._starts and packet.keyframe and packet.pts == self._starts[0]:
                self._begin(self._starts.popleft())
            self._waiting[-1].pictures.append(packet)

    def finish(self, end: int) -> None:
        """Write all that is left; the rendition lasts until ``end``, and its sound as well."""
        self._waiting[-1].end = end
        while self._waiting:
            self._write(self._waiting.popleft())

    def _begin(self, start: int) -> None:
        if self._waiting:
            self._waiting[-1].end = start
        self._waiting.append(_Open(start, []))
        while self._is_complete(self._waiting[0]):
            self._write(self._waiting.popleft())

    def _is_complete(self, segment: _Open) -> bool:
        if segment.end is None:
            return False
        return self._sound_until is None or self._sound_until >= segment.end

    def _write(self, segment: _Open) -> None:
        end = segment.end or segment.start
        sound = []
        while self._sound and self._sound[0].pts < end:
            sound.append(self._sound.popleft())
        content = self._stream.segment(segment.pictures, sound)
        name = f"{self._name}_{len(self.segments):03d}.ts"
        (self._folder / name).write_bytes(content)
        duration_s = Fraction(end - segment.start, CLOCK_HZ)
        self.segments.append(Segment(name, duration_s, len(content)))
