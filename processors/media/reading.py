"""Opening a film of unknown quality, and reading its frames with times that start at zero.

Only containers of film and sound are opened, from the local disk: a playlist that names other
files or addresses must not make this process fetch them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import EOFError as EndOfFile
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from processors.media.errors import EmptyFile, NotAVideo, NoVideoStream, TruncatedMedia

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,"
    "h264,hevc,m4v,ivf,nut,dv,mp3,wav,flac,aac,aiff,ac3,w64,caf"
)
OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
# A broadcast that was cut and joined may jump; further apart than this is no real pause.
_JUMPING_FORMATS = {"mpegts", "mpeg"}
_JUMP_S = Fraction(10)
_SOUND_WITHOUT_PICTURE_S = 30


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a file for reading, or raise ``EmptyFile``, ``TruncatedMedia`` or ``NotAVideo``."""
    if path.stat().st_size == 0:
        raise EmptyFile
    try:
        container = av.open(str(path), "r", options=OPTIONS, metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        raise TruncatedMedia if _is_mp4_without_index(path) else NotAVideo from error
    with container:
        yield container


def _is_mp4_without_index(path: Path) -> bool:
    """Tell whether the file begins like an MP4 and has no ``moov`` box (ISO/IEC 14496-12)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        position, first = 0, True
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if kind == b"moov" or (first and kind not in {b"ftyp", b"mdat", b"wide"}):
                return False
            length = int.from_bytes(header[8:16], "big") if length == 1 else length
            position, first = position + (length if length >= 8 else size), False
    return not first


def video_stream(container: InputContainer) -> VideoStream:
    """Return the stream of moving pictures, or raise ``NoVideoStream``."""
    moving = [stream for stream in container.streams.video if not stream.disposition & _STILL]
    if not moving:
        raise NoVideoStream
    best = container.streams.best("video")
    return next((stream for stream in moving if stream is best), moving[0])


def audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the sound that belongs to the film, if it has any that can be decoded."""
    best = container.streams.best("audio")
    return best if isinstance(best, AudioStream) and best.codec_context is not None else None


class FrameReader:
    """Decodes pictures and sound in the order of the file, each with its time in seconds.

    Time zero is the first picture. Packets that are damaged are counted and passed over.
    """

    def __init__(
        self, container: InputContainer, video: VideoStream, audio: AudioStream | None
    ) -> None:
        self.damaged_packets = 0
        self._container = container
        self._video = video
        self._audio = audio
        self._frame_s = 1 / (video.average_rate or video.guessed_rate or Fraction(25))
        self._timeline = _Timeline(jumps=container.format.name in _JUMPING_FORMATS)
        self._early_sound: list[tuple[AudioFrame, Fraction]] = []
        self._next_time = {video.index: Fraction(0)} | ({audio.index: Fraction(0)} if audio else {})

    @property
    def lead_s(self) -> Fraction:
        """How long after the beginning of the file the first picture is seen, in seconds."""
        begins = Fraction(self._container.start_time or 0, av.time_base)
        return max(Fraction(0), self._timeline.zero - begins)

    def frames(self) -> Iterator[tuple[VideoFrame | AudioFrame, Fraction, Fraction]]:
        """Yield each frame with its start and its length in seconds; starts may be negative."""
        for packet in self._packets():
            for frame in self._decode(packet):
                yield from self._place(frame, packet.stream_index)

    def _packets(self) -> Iterator[Packet[Stream]]:
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        demuxed: Iterator[Packet[Stream]] = self._container.demux(*streams)
        while True:
            try:
                yield next(demuxed)
            except StopIteration:
                return
            except (InvalidDataError, EndOfFile):
                self.damaged_packets += 1
                yield from self._end_of_data()
                return

    def _end_of_data(self) -> Iterator[Packet[Stream]]:
        """After an unreadable end, have the decoders give what they still hold."""
        for stream in (self._video, self._audio):
            if stream is not None:
                flush: Packet[Stream] = Packet()
                flush.stream = stream
                yield flush

    def _decode(self, packet: Packet[Stream]) -> Iterator[VideoFrame | AudioFrame]:
        try:
            decoded = packet.decode()
        except EndOfFile:
            return
        except FFmpegError:
            self.damaged_packets += 1
            return
        for frame in decoded:
            if isinstance(frame, VideoFrame | AudioFrame):
                yield frame

    def _place(
        self, frame: VideoFrame | AudioFrame, index: int
    ) -> Iterator[tuple[VideoFrame | AudioFrame, Fraction, Fraction]]:
        length = self._length(frame)
        start = self._own_time(frame)
        start = self._next_time[index] if start is None else start
        self._next_time[index] = start + length
        if isinstance(frame, VideoFrame):
            self._timeline.begin(start)
            yield frame, self._timeline.at(start), length
        elif not self._timeline.begun:
            self._hold(frame, start)
            return
        early, self._early_sound = self._early_sound, []
        for sound, time in early:
            yield sound, self._timeline.at(time), self._length(sound)
        if isinstance(frame, AudioFrame):
            yield frame, self._timeline.at(start), length

    def _hold(self, frame: AudioFrame, start: Fraction) -> None:
        """Keep sound that was decoded before the first picture, for a while."""
        self._early_sound.append((frame, start))
        if start - self._early_sound[0][1] > _SOUND_WITHOUT_PICTURE_S:
            del self._early_sound[0]

    def _own_time(self, frame: VideoFrame | AudioFrame) -> Fraction | None:
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is None or frame.time_base is None:
            return None
        return ticks * frame.time_base

    def _length(self, frame: VideoFrame | AudioFrame) -> Fraction:
        if isinstance(frame, AudioFrame):
            return Fraction(frame.samples, frame.sample_rate)
        if frame.duration and frame.time_base:
            return frame.duration * frame.time_base
        return self._frame_s


class _Timeline:
    """Maps the times of a file to seconds since its first picture, without its jumps."""

    def __init__(self, *, jumps: bool) -> None:
        self.begun = False
        self.zero = Fraction(0)
        self._jumps = jumps
        self._shift = Fraction(0)
        self._latest = Fraction(0)

    def begin(self, start: Fraction) -> None:
        if not self.begun:
            self.begun, self.zero, self._shift = True, start, -start

    def at(self, time: Fraction) -> Fraction:
        placed = time + self._shift
        if self._jumps and abs(placed - self._latest) > _JUMP_S:
            self._shift += self._latest - placed
            placed = self._latest
        self._latest = placed
        return placed
