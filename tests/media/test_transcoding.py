"""Real transcodes of every kind of source, measured in the result."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from processors.media.options import Progress, TranscodeOptions, TranscodeResult
from processors.media.transcoding import transcode
from tests.media.kinds import KINDS, Kind
from tests.media.measure import (
    Decoded,
    begins_with_idr,
    counter_jumps,
    decode,
    pictures_alone,
    read_master,
    read_playlist,
    sequence_parameters,
)


@dataclass(frozen=True)
class Stream:
    """A kind of source, its transcode, and its renditions decoded again."""

    kind: Kind
    result: TranscodeResult
    decoded: dict[str, Decoded]
    progress: list[Progress]
    folder: Path

    def segments(self, quality: str) -> list[Path]:
        names = read_playlist(self.folder / f"{quality}.m3u8").names
        return [self.folder / name for name in names]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def stream(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stream]:
    kind: Kind = request.param
    folder = tmp_path_factory.mktemp(kind.name)
    progress: list[Progress] = []
    out_dir = folder / "out"
    result = transcode(
        kind.make(folder), out_dir, TranscodeOptions(), progress.append, lambda: False
    )
    qualities = [rendition.quality for rendition in result.renditions]
    decoded = {
        quality: decode(
            [out_dir / name for name in read_playlist(out_dir / f"{quality}.m3u8").names],
            folder / f"{quality}.joined.ts",
        )
        for quality in qualities
    }
    yield Stream(kind, result, decoded, progress, out_dir)
    shutil.rmtree(folder)


def test_the_ladder_is_the_one_that_the_source_can_fill(stream: Stream) -> None:
    sizes = {each.quality: (each.width, each.height) for each in stream.result.renditions}
    assert sizes == stream.kind.expected
    assert {quality: each.sizes for quality, each in stream.decoded.items()} == {
        quality: {size} for quality, size in sizes.items()
    }
    assert {form for each in stream.decoded.values() for form in each.formats} == {"yuv420p"}


def test_exactly_the_named_files_are_there(stream: Stream) -> None:
    expected = {"master.m3u8", "thumbnail.jpg"}
    for each in stream.result.renditions:
        expected |= {f"{each.quality}.m3u8"}
        expected |= {f"{each.quality}_{index:03d}.ts" for index in range(each.segment_count)}
    assert {path.name for path in stream.folder.iterdir()} == expected
    assert stream.result.master_playlist.parent == stream.folder
    assert all(each.playlist.exists() for each in stream.result.renditions)


def test_every_segment_stands_alone_and_is_short_enough(stream: Stream) -> None:
    for quality, decoded in stream.decoded.items():
        playlist = read_playlist(stream.folder / f"{quality}.m3u8")
        assert max(playlist.durations_s) <= min(4.5, playlist.target_s + 0.5)
        assert all(begins_with_idr(segment) for segment in stream.segments(quality))
        alone = sum(pictures_alone(segment) for segment in stream.segments(quality))
        assert alone == len(decoded.picture_times_s)


def test_segments_are_cut_at_the_same_times_in_all_renditions(stream: Stream) -> None:
    cuts = {
        tuple(read_playlist(stream.folder / f"{quality}.m3u8").durations_s)
        for quality in stream.decoded
    }
    assert len(cuts) == 1


def test_durations_sum_to_that_of_the_source(stream: Stream) -> None:
    frame_s = max(1 / stream.kind.expected_rate, 0.04)
    for quality in stream.decoded:
        total_s = sum(read_playlist(stream.folder / f"{quality}.m3u8").durations_s)
        assert total_s == pytest.approx(stream.kind.expected_duration_s, abs=frame_s)
        assert total_s == pytest.approx(stream.result.duration_s, abs=1e-4)


def test_pictures_keep_their_times_and_their_number(stream: Stream) -> None:
    for decoded in stream.decoded.values():
        count = len(decoded.picture_times_s)
        expected = stream.kind.expected_rate * stream.kind.expected_duration_s
        assert count == pytest.approx(expected, abs=1.01)
        assert np.all(np.diff(decoded.picture_times_s) > 0)


def test_the_master_playlist_is_true(stream: Stream) -> None:
    master = read_master(stream.result.master_playlist)
    assert list(master) == [f"{each.quality}.m3u8" for each in stream.result.renditions]
    for each in stream.result.renditions:
        stated = master[f"{each.quality}.m3u8"]
        segments = stream.segments(each.quality)
        size = sum(segment.stat().st_size for segment in segments)
        video = f"avc1.{sequence_parameters(segments[0])}"
        assert stated["RESOLUTION"] == f"{each.width}x{each.height}"
        assert stated["CODECS"] == (f"{video},mp4a.40.2" if stream.kind.audio else video)
        assert video.startswith("avc1.4d")
        assert each.file_size == size
        average = size * 8 / stream.result.duration_s
        assert int(stated["AVERAGE-BANDWIDTH"]) == pytest.approx(average, rel=0.001)
        assert int(stated["BANDWIDTH"]) >= int(stated["AVERAGE-BANDWIDTH"]) * 0.999
        assert float(stated["FRAME-RATE"]) == pytest.approx(stream.kind.expected_rate, rel=0.04)


def test_counters_go_on_from_segment_to_segment(stream: Stream) -> None:
    for quality in stream.decoded:
        content = b"".join(path.read_bytes() for path in stream.segments(quality))
        assert counter_jumps(content) == 0


def test_sound_begins_and_ends_with_the_pictures_in_stereo(stream: Stream) -> None:
    for decoded in stream.decoded.values():
        if stream.kind.audio is None:
            assert decoded.channels == set()
            continue
        assert decoded.channels == {2}
        assert abs(decoded.sound_from_s) <= 0.05
        assert decoded.sound_until_s == pytest.approx(stream.result.duration_s, abs=0.05)


def test_each_click_is_heard_with_its_flash(stream: Stream) -> None:
    options = stream.kind.options
    sound_until_s = options.audio_seconds or stream.kind.seconds
    for decoded in stream.decoded.values():
        flashes_s = decoded.flashes_s
        if stream.kind.name != "slides":
            assert len(flashes_s) == math.ceil(stream.kind.seconds)
        audible = [time for time in flashes_s if options.audio_delay_s < time < sound_until_s - 0.1]
        for flash_s in audible if stream.kind.audio else ():
            nearest = min(decoded.clicks_s, key=lambda click_s: abs(click_s - flash_s))
            assert nearest == pytest.approx(flash_s, abs=0.05)


def test_the_picture_is_upright_and_in_its_colours(stream: Stream) -> None:
    for decoded in stream.decoded.values():
        picture = decoded.quiet_picture.astype(int)
        side = min(picture.shape[:2]) // 16
        corner = picture[1:side, 1:side].reshape(-1, 3).mean(axis=0)
        others = [
            picture[1:side, -side:],
            picture[-side:, 1:side],
            picture[-side:, -side:],
        ]
        assert corner == pytest.approx([254, 0, 0], abs=24)
        for other in others:
            red, green, blue = other.reshape(-1, 3).mean(axis=0)
            assert not (red > 200 and green < 60 and blue < 60)


def test_the_thumbnail_is_a_jpeg_of_the_right_shape(stream: Stream) -> None:
    largest = stream.result.renditions[-1]
    with av.open(str(stream.result.thumbnail)) as container:
        frame = next(container.decode(video=0))
    assert stream.result.thumbnail.read_bytes()[:3] == b"\xff\xd8\xff"
    assert frame.width == min(640, largest.width)
    assert frame.width / frame.height == pytest.approx(largest.width / largest.height, rel=0.03)


def test_progress_rises_through_its_stages(stream: Stream) -> None:
    fractions = [each.fraction for each in stream.progress]
    stages = list(dict.fromkeys(each.stage for each in stream.progress))
    assert stages == ["probe", "encode", "package", "done"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_another_build_of_ffmpeg_reads_the_playlists_without_a_word(stream: Stream) -> None:
    for quality in stream.decoded:
        command = ["ffprobe", "-v", "warning", "-count_packets", "-show_entries"]
        command += ["stream=nb_read_packets", f"{stream.folder / quality}.m3u8"]
        finished = subprocess.run(command, capture_output=True, text=True, check=True)
        assert finished.stderr == ""
