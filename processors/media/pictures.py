"""Pictures: upright, progressive, in the size and the 8-bit 4:2:0 form that players can show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import BlockingIOError as NeedsMore
from av.error import EOFError as EndOfFile
from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)

PIXEL_FORMAT = "yuv420p"
THUMBNAIL_WIDTH_MAX = 640
_JPEG_QUALITY = 3
_JPEG_FORMAT = "yuvj420p"
_HD_HEIGHT = 720
# Values of AVColorSpace (libavutil/pixfmt.h).
_MATRIX_BT709, _MATRIX_UNSPECIFIED, _MATRIX_SMPTE170M = 1, 2, 6
_HDR_TRANSFERS = {ColorTrc.SMPTE2084.value, ColorTrc.ARIB_STD_B67.value}
_TURNS = {90: ("clock",), 180: ("clock", "clock"), 270: ("cclock",)}


@dataclass(frozen=True, slots=True)
class Colours:
    """Labels of coded pictures, as numbers of ISO/IEC 23091-2; the range is always limited."""

    matrix: int
    primaries: int
    transfer: int


class PictureFilter:
    """A chain of FFmpeg filters; built anew when the form of its input changes."""

    def __init__(self, filters: tuple[tuple[str, str], ...]) -> None:
        self._filters = filters
        self._graph: Graph | None = None
        self._form: tuple[int, int, str] | None = None

    def apply(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Yield what comes out for one picture, or with ``None`` what the filters still hold."""
        graph = self._graph_for(frame) if frame else self._graph
        if graph is None:
            return
        graph.vpush(frame)
        while True:
            try:
                yield graph.vpull()
            except (NeedsMore, EndOfFile):
                return

    def _graph_for(self, frame: VideoFrame) -> Graph:
        form = (frame.width, frame.height, frame.format.name)
        if self._graph is None or form != self._form:
            self._graph, self._form = self._build(frame), form
        return self._graph

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        graph.threads = 1
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 90_000),
        )
        nodes = [graph.add(name, arguments or None) for name, arguments in self._filters]
        graph.link_nodes(source, *nodes, graph.add("buffersink"))
        graph.configure()
        return graph


def turner(rotation: int) -> PictureFilter | None:
    """Return the filter that turns pictures by so many degrees clockwise, if they need one."""
    turns = _TURNS.get(rotation)
    return PictureFilter(tuple(("transpose", turn) for turn in turns)) if turns else None


def deinterlacer() -> PictureFilter:
    """Return the filter that makes one progressive picture of two fields, at the same rate."""
    return PictureFilter((("yadif", "mode=send_frame:deint=interlaced"),))


class Scaler:
    """Scales pictures to one size, with the colours that the renditions are labelled with."""

    def __init__(self, width: int, height: int, rotation: int = 0) -> None:
        stored = (height, width) if rotation in {90, 270} else (width, height)
        self._width, self._height = stored
        self._turner = turner(rotation)
        self._reformatter = VideoReformatter()

    def scale(self, frame: VideoFrame) -> VideoFrame:
        """Return the picture in this size, upright, as limited-range yuv420p."""
        hdr = is_hdr(frame)
        scaled = self._reformatter.reformat(
            frame,
            self._width,
            self._height,
            PIXEL_FORMAT,
            dst_colorspace=Colorspace.ITU709 if hdr or _is_rgb(frame) else None,
            interpolation=Interpolation.BICUBIC,
            src_color_range=_range(frame),
            dst_color_range=ColorRange.MPEG,
            dst_color_trc=ColorTrc.BT709 if hdr else None,
            dst_color_primaries=ColorPrimaries.BT709 if hdr else None,
            threads=1,
        )
        return next(self._turner.apply(scaled)) if self._turner else scaled


def is_hdr(frame: VideoFrame) -> bool:
    """Tell whether the picture is in one of the transfer curves of high dynamic range."""
    return frame.color_trc in _HDR_TRANSFERS


def colours(first: VideoFrame) -> Colours:
    """Return the labels for the renditions of a source, from its first picture.

    A source that does not name its matrix is taken by its size, as players do; the label keeps
    its smaller renditions from being taken for the other matrix.
    """
    if is_hdr(first):
        return Colours(_MATRIX_BT709, ColorPrimaries.BT709.value, ColorTrc.BT709.value)
    return Colours(_matrix(first), first.color_primaries, first.color_trc)


def _matrix(frame: VideoFrame) -> int:
    if _is_rgb(frame):
        return _MATRIX_BT709
    if frame.colorspace != _MATRIX_UNSPECIFIED:
        return frame.colorspace
    large = min(frame.width, frame.height) >= _HD_HEIGHT
    return _MATRIX_BT709 if large else _MATRIX_SMPTE170M


def _is_rgb(frame: VideoFrame) -> bool:
    return frame.format.is_rgb


def _range(frame: VideoFrame) -> int:
    if frame.color_range:
        return frame.color_range
    full = frame.format.is_rgb or frame.format.name.startswith("yuvj")
    return (ColorRange.JPEG if full else ColorRange.MPEG).value


def save_jpeg(frame: VideoFrame, path: Path) -> None:
    """Write an upright picture of square pixels as JPEG, at most 640 pixels wide."""
    width = min(frame.width, THUMBNAIL_WIDTH_MAX) // 2 * 2
    height = max(2, round(frame.height * width / frame.width / 2) * 2)
    encoder: VideoCodecContext = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, _JPEG_FORMAT
    encoder.time_base = Fraction(1, 25)
    encoder.color_range = ColorRange.JPEG.value
    encoder.qscale = True
    encoder.global_quality = _JPEG_QUALITY * 118
    picture = VideoReformatter().reformat(
        frame, width, height, _JPEG_FORMAT, dst_color_range=ColorRange.JPEG, threads=1
    )
    picture.pts, picture.pict_type = 0, 0
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
