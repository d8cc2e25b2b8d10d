"""Files that cannot become a stream, transcodes that are stopped, and what is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from processors.media.clips import ClipOptions, make_clip
from processors.media.errors import (
    EmptyFile,
    FilmTooLong,
    MediaError,
    NotAVideo,
    NoVideoStream,
    TranscodeCancelled,
    TruncatedMedia,
    UndecodableMedia,
    UnsupportedCodec,
)
from processors.media.options import Progress, TranscodeOptions, TranscodeResult
from processors.media.probe import probe
from processors.media.transcoding import transcode


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, 9, 320, 180)
    return path


@pytest.fixture(scope="module")
def matroska(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    make_clip(path, 9, 320, 180)
    return path


def run(source: Path, out_dir: Path, options: TranscodeOptions | None = None) -> TranscodeResult:
    return transcode(source, out_dir, options or TranscodeOptions(), lambda _: None, lambda: False)


def no_thread_is_left() -> bool:
    return not any(thread.name.startswith("rendition-") for thread in threading.enumerate())


def moov_last(clip: bytes) -> int:
    """Return where the index of an MP4 begins whose index is at its end."""
    position = clip.rfind(b"moov")
    assert position > len(clip) // 2
    return position - 4


def empty(path: Path, _: bytes) -> None:
    path.write_bytes(b"")


def text(path: Path, _: bytes) -> None:
    path.write_text("This is a letter, not a film.\n" * 100, encoding="utf-8")


def noise(path: Path, _: bytes) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(200_000))


def playlist_of_others(path: Path, _: bytes) -> None:
    path.write_text("#EXTM3U\n#EXTINF:4,\nfile:///etc/hostname\n", encoding="utf-8")


def concat_of_others(path: Path, _: bytes) -> None:
    path.write_text("ffconcat version 1.0\nfile /etc/hostname\n", encoding="utf-8")


def without_index(path: Path, clip: bytes) -> None:
    path.write_bytes(clip[: moov_last(clip)])


def half_without_index(path: Path, clip: bytes) -> None:
    path.write_bytes(clip[: len(clip) // 2])


def unknown_codec(path: Path, clip: bytes) -> None:
    path.write_bytes(clip.replace(b"avc1", b"zzzz"))


def scrambled(path: Path, clip: bytes) -> None:
    """Keep the container and replace all of its media data."""
    start, end = clip.find(b"mdat") + 4, moov_last(clip)
    path.write_bytes(clip[:start] + bytes([0xAB]) * (end - start) + clip[end:])


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (empty, EmptyFile),
        (text, NotAVideo),
        (noise, NotAVideo),
        (playlist_of_others, NotAVideo),
        (concat_of_others, NotAVideo),
        (without_index, TruncatedMedia),
        (half_without_index, TruncatedMedia),
        (unknown_codec, UnsupportedCodec),
        (scrambled, UndecodableMedia),
    ],
    ids=lambda value: value.__name__,
)
def test_a_spoilt_file_is_refused_with_its_reason(
    clip: Path,
    tmp_path: Path,
    spoil: Callable[[Path, bytes], None],
    error: type[MediaError],
) -> None:
    source = tmp_path / "source.mp4"
    spoil(source, clip.read_bytes())
    with pytest.raises(error) as refusal:
        run(source, tmp_path / "out")
    assert refusal.value.code == error.code
    assert refusal.value.message == error.sentence
    assert not (tmp_path / "out").exists()


def fast_start(clip: Path, path: Path) -> None:
    """Copy an MP4 with its index in front of its data."""
    with (
        av.open(str(clip)) as source,
        av.open(str(path), "w", options={"movflags": "faststart"}) as target,
    ):
        streams = {
            stream.index: target.add_stream_from_template(stream) for stream in source.streams
        }
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_a_film_cut_behind_its_index_is_refused(clip: Path, tmp_path: Path, share: float) -> None:
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    fast_start(clip, whole)
    content = whole.read_bytes()
    data = content.find(b"mdat")
    assert data < content.find(b"moov") + 20_000
    cut.write_bytes(content[: data + round((len(content) - data) * share)])
    with pytest.raises(TruncatedMedia):
        run(cut, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_film_that_misses_only_a_little_becomes_what_is_there(clip: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    fast_start(clip, whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: round(len(content) * 0.96)])
    result = run(cut, tmp_path / "out")
    assert 0.9 * 9 <= result.duration_s < 9


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_film_whose_pictures_begin_late_is_whole(tmp_path: Path, suffix: str) -> None:
    """What is heard before the first picture is left out, and is no end that is missing."""
    punctual, late = tmp_path / f"punctual{suffix}", tmp_path / f"late{suffix}"
    make_clip(punctual, 8, 160, 90, fps=10)
    with av.open(str(punctual)) as source, av.open(str(late), "w") as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream.type == "video":
                lead = round(Fraction(2) / (packet.time_base or Fraction(1)))
                packet.pts, packet.dts = packet.pts + lead, packet.dts + lead
            packet.stream = streams[packet.stream_index]
            target.mux(packet)
    result = run(late, tmp_path / "hls", TranscodeOptions(preset="ultrafast", threads=1))
    assert float(result.duration_s) == pytest.approx(8.0, abs=0.3)


def test_a_matroska_file_cut_in_half_is_refused(matroska: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    content = matroska.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(TruncatedMedia):
        run(cut, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damage_in_the_middle_is_passed_over(clip: Path, tmp_path: Path) -> None:
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xa5" * 3000
    source = tmp_path / "damaged.mp4"
    source.write_bytes(content)
    result = run(source, tmp_path / "out")
    assert result.duration_s == pytest.approx(9, abs=0.05)
    assert result.damaged_packets > 0


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    source = tmp_path / "song.m4a"
    make_clip(source, 2, 0, 0, options=ClipOptions(video_codec=None))
    info = probe(source)
    assert (info.has_video, info.audio is not None) == (False, True)
    with pytest.raises(NoVideoStream):
        run(source, tmp_path / "out")


def test_a_song_with_cover_art_is_no_video(tmp_path: Path) -> None:
    source = tmp_path / "song.mp3"
    song = tmp_path / "plain.mp3"
    make_clip(song, 2, 0, 0, options=ClipOptions(video_codec=None))
    source.write_bytes(cover_art_tag() + song.read_bytes())
    with av.open(str(source)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(NoVideoStream):
        run(source, tmp_path / "out")


def cover_art_tag() -> bytes:
    """Return an ID3v2.3 tag with one picture (id3.org, ID3v2.3.0 section 4.15)."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    picture = av.VideoFrame(64, 64, "yuvj420p")
    data = b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
    body = b"\x00image/jpeg\x00\x03\x00" + data
    frame = b"APIC" + len(body).to_bytes(4, "big") + b"\x00\x00" + body
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + frame


def test_a_film_over_the_limit_is_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(FilmTooLong):
        run(clip, tmp_path / "out", TranscodeOptions(duration_max_s=8))


def test_a_stopped_transcode_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    fractions: list[float] = []

    def on_progress(progress: Progress) -> None:
        fractions.append(progress.fraction)

    kept = tmp_path / "out" / "mine.txt"
    kept.parent.mkdir()
    kept.write_text("not yours", encoding="utf-8")
    with pytest.raises(TranscodeCancelled):
        transcode(
            clip,
            kept.parent,
            TranscodeOptions(preset="veryslow"),
            on_progress,
            lambda: max(fractions) > 0.1,
        )
    assert list(kept.parent.iterdir()) == [kept]
    assert no_thread_is_left()


def test_a_failure_in_a_rendition_ends_all_of_it(tmp_path: Path) -> None:
    source, out_dir = tmp_path / "clip.mp4", tmp_path / "out"
    make_clip(source, 10, 480, 270)

    def remove_folder(_: Progress) -> None:
        for folder in out_dir.glob(".transcode-*"):
            folder.rmdir()

    with pytest.raises(FileNotFoundError):
        transcode(source, out_dir, TranscodeOptions(), remove_folder, lambda: False)
    assert not out_dir.exists()
    assert no_thread_is_left()


def test_an_impossible_preset_fails_at_once_and_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(av.error.FFmpegError):
        run(clip, tmp_path / "out", TranscodeOptions(preset="no such preset"))
    assert not (tmp_path / "out").exists()
    assert no_thread_is_left()
