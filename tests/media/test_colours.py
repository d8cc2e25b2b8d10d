"""Colours: what the renditions are labelled with, so that players show them as they were meant."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from processors.media.clips import ClipOptions, make_clip
from processors.media.options import TranscodeOptions
from processors.media.transcoding import transcode

HDR = "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
BT709, SMPTE170M, UNSPECIFIED, LIMITED = 1, 6, 2, 1


def labels(folder: Path, source: Path) -> list[tuple[int, int, int, int]]:
    """Return matrix, primaries, transfer and range of every rendition."""
    out_dir = folder / "out"
    result = transcode(source, out_dir, TranscodeOptions(), lambda _: None, lambda: False)
    found = []
    for each in result.renditions:
        with av.open(str(out_dir / f"{each.quality}_000.ts")) as container:
            frame = next(container.decode(video=0))
            found.append(
                (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
            )
    return found


@pytest.mark.parametrize(
    ("size", "matrix", "count"), [((1280, 720), BT709, 3), ((842, 480), SMPTE170M, 2)]
)
def test_a_source_without_labels_gets_the_matrix_of_its_size_in_every_rendition(
    tmp_path: Path, size: tuple[int, int], matrix: int, count: int
) -> None:
    source = tmp_path / "clip.mp4"
    make_clip(source, 0.4, *size, audio=None)
    assert labels(tmp_path, source) == [(matrix, UNSPECIFIED, UNSPECIFIED, LIMITED)] * count


def test_high_dynamic_range_becomes_standard_range(tmp_path: Path) -> None:
    source = tmp_path / "hdr.mp4"
    options = ClipOptions(
        video_codec="libx265",
        pixel_format="yuv420p10le",
        encoder_options=(("preset", "ultrafast"), ("x265-params", HDR)),
    )
    make_clip(source, 0.4, 320, 180, audio=None, options=options)
    assert labels(tmp_path, source) == [(BT709, BT709, BT709, LIMITED)]
