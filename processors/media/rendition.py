"""One rendition in a thread of its own: scale, hand on to the next smaller one, encode, cut.

The renditions form a chain from the largest to the smallest. Each scales the picture of the one
before, so that a picture of the source is scaled (and turned upright) only once at full size.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange

from processors.media.channel import Channel, Stopped
from processors.media.codec_strings import AAC_LC, avc_codec_string
from processors.media.ladder import Rendition
from processors.media.options import RenditionResult, TranscodeOptions
from processors.media.pictures import PIXEL_FORMAT, Colours, Scaler, save_jpeg
from processors.media.playlists import (
    Variant,
    average_bits_per_second,
    media_playlist,
    peak_bits_per_second,
)
from processors.media.segmenter import Segmenter
from processors.media.transport_stream import (
    TIME_BASE,
    EncodedPacket,
    TransportStream,
    VideoFormat,
)


@dataclass(frozen=True, slots=True)
class Step:
    """A picture with its time in ticks of 90 kHz, and the sound encoded since the one before."""

    picture: VideoFrame
    pts: int
    starts_segment: bool
    sound: tuple[EncodedPacket, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The last step: the time at which pictures and sound end, and the rest of the sound."""

    pts: int
    sound: tuple[EncodedPacket, ...]


@dataclass(frozen=True, slots=True)
class RenditionPlan:
    """All that a rendition must know before its first picture."""

    rendition: Rendition
    folder: Path
    frame_rate: Fraction
    colours: Colours
    rotation: int
    sound_rate: int | None
    threads: int
    thumbnail: Path | None = None
    thumbnail_at: int = 0


class RenditionThread(threading.Thread):
    """Makes one rendition of the steps in its ``inbox``.

    ``failure`` holds what ended it early, and then ``stop`` is set, which ends every other thread.
    """

    def __init__(
        self,
        plan: RenditionPlan,
        options: TranscodeOptions,
        stop: threading.Event,
        successor: RenditionThread | None,
    ) -> None:
        super().__init__(name=f"rendition-{plan.rendition.rung.name}", daemon=True)
        self.inbox: Channel[Step | End] = Channel(options.queue_frames_max, stop)
        self.failure: BaseException | None = None
        self._stop_all = stop
        self._successor = successor
        self._maker = RenditionMaker(plan, options)

    def run(self) -> None:
        try:
            for item in self.inbox:
                self._take(item)
            if self._successor:
                self._successor.inbox.put(None)
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self.failure = error
            self._stop_all.set()

    def result(self) -> RenditionResult:
        """Write the playlist and return what was made; the thread must have ended."""
        return self._maker.result()

    def _take(self, item: Step | End) -> None:
        if isinstance(item, Step):
            item = Step(self._maker.scale(item), item.pts, item.starts_segment, item.sound)
        if self._successor:
            self._successor.inbox.put(item)
        if isinstance(item, Step):
            self._maker.encode(item)
        else:
            self._maker.finish(item)


class RenditionMaker:
    """Scales, encodes and cuts; no threads of its own besides those of x264."""

    def __init__(self, plan: RenditionPlan, options: TranscodeOptions) -> None:
        rendition, self._plan = plan.rendition, plan
        self._name = rendition.rung.name
        self._scaler = Scaler(rendition.width, rendition.height, plan.rotation)
        self._encoder = _open_encoder(plan, options)
        video = VideoFormat(rendition.width, rendition.height, plan.frame_rate)
        stream = TransportStream(video, plan.sound_rate)
        self._segmenter = Segmenter(
            plan.folder, self._name, stream, sound=plan.sound_rate is not None
        )
        self._codec = ""
        self._pictures = 0
        self._thumbnail = _Thumbnail(plan.thumbnail, plan.thumbnail_at)
        self._end = 0

    def scale(self, step: Step) -> VideoFrame:
        """Return the picture in the size of this rendition."""
        return self._scaler.scale(step.picture)

    def encode(self, step: Step) -> None:
        """Encode a picture that is already in size."""
        self._thumbnail.offer(step)
        picture = step.picture
        picture.pts, picture.time_base = step.pts, TIME_BASE
        picture.pict_type = PictureType.NONE
        if step.starts_segment:
            picture.pict_type = PictureType.I
            self._segmenter.begin_at(step.pts)
        self._segmenter.add_sound(step.sound)
        self._add(picture)
        self._pictures += 1

    def finish(self, end: End) -> None:
        """Encode what x264 still holds and write the last segments."""
        self._segmenter.add_sound(end.sound)
        self._add(None)
        self._segmenter.finish(end.pts)
        self._thumbnail.save()
        self._end = end.pts

    def result(self) -> RenditionResult:
        """Write the media playlist and return the measured rendition."""
        segments = self._segmenter.segments
        playlist = self._plan.folder / f"{self._name}.m3u8"
        playlist.write_text(media_playlist(segments), encoding="utf-8")
        rendition = self._plan.rendition
        return RenditionResult(
            quality=self._name,
            width=rendition.width,
            height=rendition.height,
            bitrate=average_bits_per_second(segments),
            peak_bitrate=peak_bits_per_second(segments),
            file_size=sum(segment.size_bytes for segment in segments),
            segment_count=len(segments),
            codecs=self._codec if self._plan.sound_rate is None else f"{self._codec},{AAC_LC}",
            frame_rate=self._pictures / (self._end * TIME_BASE),
            playlist=playlist,
        )

    def _add(self, picture: VideoFrame | None) -> None:
        packets = [
            EncodedPacket(
                bytes(packet),
                packet.pts or 0,
                packet.dts or 0,
                packet.duration or 0,
                packet.is_keyframe,
            )
            for packet in self._encoder.encode(picture)
        ]
        if packets and not self._codec:
            self._codec = avc_codec_string(packets[0].data)
        self._segmenter.add_pictures(packets)


class _Thumbnail:
    """Keeps the first picture at or after a time, or failing that the first picture of all."""

    def __init__(self, path: Path | None, at: int) -> None:
        self._path = path
        self._at = at
        self._picture: VideoFrame | None = None
        self._found = False

    def offer(self, step: Step) -> None:
        if self._path and not self._found and (self._picture is None or step.pts >= self._at):
            self._picture = step.picture
            self._found = step.pts >= self._at

    def save(self) -> None:
        if self._path and self._picture:
            save_jpeg(self._picture, self._path)


def variant(result: RenditionResult) -> Variant:
    """Return the line of the master playlist for a rendition."""
    return Variant(
        playlist=result.playlist.name,
        bandwidth=result.peak_bitrate,
        average_bandwidth=result.bitrate,
        width=result.width,
        height=result.height,
        codecs=result.codecs,
        frame_rate=result.frame_rate,
    )


def _open_encoder(plan: RenditionPlan, options: TranscodeOptions) -> VideoCodecContext:
    rung = plan.rendition.rung
    encoder: VideoCodecContext = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = plan.rendition.width, plan.rendition.height
    encoder.pix_fmt = PIXEL_FORMAT
    encoder.time_base = TIME_BASE
    encoder.framerate = plan.frame_rate
    encoder.sample_aspect_ratio = Fraction(1)
    encoder.color_range = ColorRange.MPEG.value
    encoder.colorspace = plan.colours.matrix
    encoder.color_primaries = plan.colours.primaries
    encoder.color_trc = plan.colours.transfer
    encoder.thread_count = plan.threads
    encoder.options = {
        "preset": options.preset,
        "profile": "main",
        "crf": str(options.constant_rate_factor),
        "maxrate": str(rung.peak_bits_per_second),
        "bufsize": str(rung.buffer_bits),
        "g": str(options.group_of_pictures_max),
        "keyint_min": str(options.group_of_pictures_max),
        "sc_threshold": "0",
        "forced-idr": "1",
    }
    encoder.open()
    return encoder
