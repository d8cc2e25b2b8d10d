"""One sound track for all renditions: AAC LC, 48 kHz, stereo, on the clock of the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from processors.media.codec_strings import adts_frame
from processors.media.transport_stream import CLOCK_HZ, EncodedPacket

SAMPLE_RATE = 48_000
CHANNELS = 2
BITS_PER_SECOND = 128_000
FRAME_SAMPLES = 1024
_TICKS_PER_SAMPLE = Fraction(CLOCK_HZ, SAMPLE_RATE)
# Containers round times to a millisecond; up to this error the samples are simply joined.
_TOLERANCE_SAMPLES = SAMPLE_RATE * 20 // 1000
_SILENCE_BLOCK_SAMPLES = SAMPLE_RATE

Samples = npt.NDArray[np.float32]


class SoundTrack:
    """Encodes decoded sound into AAC packets whose first sample is at time zero.

    Gaps in the source become silence, and sound before zero or twice for the same time is cut,
    so that position in samples and time are one and the same.
    """

    def __init__(self, bits_per_second: int = BITS_PER_SECOND) -> None:
        self._encoder = _open_encoder(bits_per_second)
        self._resampler: AudioResampler | None = None
        self._source: tuple[int, str, str] | None = None
        self._position = 0

    @property
    def position_s(self) -> Fraction:
        """How much sound has been taken, in seconds from zero."""
        return Fraction(self._position, SAMPLE_RATE)

    def accept(self, frame: AudioFrame, start_s: Fraction) -> Iterator[EncodedPacket]:
        """Yield the packets that are complete once ``frame``, heard at ``start_s``, is added."""
        yield from self._flush_if_changed(frame)
        if self._resampler is None:
            self._resampler = AudioResampler("fltp", "stereo", SAMPLE_RATE)
        frame.pts = round(start_s * frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        for converted in self._resampler.resample(frame):
            yield from self._place(converted)

    def pad_until(self, time_s: Fraction) -> Iterator[EncodedPacket]:
        """Yield packets of silence, so that the sound reaches ``time_s``."""
        missing = round(time_s * SAMPLE_RATE) - self._position
        while missing > 0:
            block = min(missing, _SILENCE_BLOCK_SAMPLES)
            yield from self._append(np.zeros((CHANNELS, block), np.float32))
            missing -= block

    def drain(self) -> Iterator[EncodedPacket]:
        """Yield what the resampler still holds; call it after the last frame of the source."""
        if self._resampler is not None:
            for converted in self._resampler.resample(None):
                yield from self._place(converted)
            self._resampler = None

    def finish(self) -> Iterator[EncodedPacket]:
        """Yield the last packets; nothing may be added after it."""
        yield from self._packets(None)

    def _flush_if_changed(self, frame: AudioFrame) -> Iterator[EncodedPacket]:
        """A source may change its layout half way (5.1 programme, stereo advert)."""
        source = (frame.sample_rate, frame.format.name, frame.layout.name)
        if self._source not in (None, source):
            yield from self.drain()
        self._source = source

    def _place(self, frame: AudioFrame) -> Iterator[EncodedPacket]:
        samples = np.asarray(frame.to_ndarray(), np.float32)
        start = self._position
        if frame.pts is not None and frame.time_base is not None:
            start = round(frame.pts * frame.time_base * SAMPLE_RATE)
        early = self._position - start
        tolerance = _TOLERANCE_SAMPLES if self._position else 0
        if early < -tolerance:
            yield from self.pad_until(Fraction(start, SAMPLE_RATE))
        elif early > tolerance:
            samples = samples[:, early:]
        if samples.shape[1]:
            yield from self._append(samples)

    def _append(self, samples: Samples) -> Iterator[EncodedPacket]:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "stereo")
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = self._position
        self._position += samples.shape[1]
        yield from self._packets(frame)

    def _packets(self, frame: AudioFrame | None) -> Iterator[EncodedPacket]:
        for packet in self._encoder.encode(frame):
            pts = round((packet.pts or 0) * _TICKS_PER_SAMPLE)
            data = adts_frame(bytes(packet), SAMPLE_RATE, CHANNELS)
            duration = round(FRAME_SAMPLES * _TICKS_PER_SAMPLE)
            yield EncodedPacket(data, pts, pts, duration, keyframe=True)


def _open_encoder(bits_per_second: int) -> AudioCodecContext:
    encoder: AudioCodecContext = av.CodecContext.create("aac", "w")
    encoder.sample_rate = SAMPLE_RATE
    encoder.layout = "stereo"
    encoder.format = "fltp"
    encoder.bit_rate = bits_per_second
    encoder.time_base = Fraction(1, SAMPLE_RATE)
    encoder.profile = "LC"
    encoder.open()
    return encoder
