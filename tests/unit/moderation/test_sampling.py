"""Which frames of a film are looked at; the grey of each frame tells its moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.moderation import sampling
from processors.moderation.errors import UnreadableMedia
from processors.moderation.sampling import Sampling, TimedFrame, sample_frames, sample_times
from tests.unit.moderation.clips import Clip, grey_ramp, turn_clockwise, write_clip, write_pictures

TWO_SECONDS = Sampling(interval_s=2.0)


def moment(frame: TimedFrame) -> float:
    """Return the moment that a frame of a grey ramp shows."""
    return (float(frame.picture.mean()) - grey_ramp(0)[0]) / 20


def sampled(path: Path, wanted: Sampling = TWO_SECONDS) -> list[float]:
    """Return the times of the sampled frames, having checked that each shows its time."""
    frames = list(sample_frames(path, wanted))
    for frame in frames:
        assert moment(frame) == pytest.approx(frame.time_s, abs=0.11)
    return [round(frame.time_s, 1) for frame in frames]


@given(st.floats(0, 1e5), st.floats(0.1, 60), st.integers(1, 100))
def test_times_are_evenly_spread_and_bounded(duration: float, interval: float, most: int) -> None:
    times = sample_times(duration, Sampling(interval, most))
    assert 1 <= len(times) <= most
    assert all(0 <= time <= duration for time in times)
    gaps = np.diff([-times[0], *times, 2 * duration - times[-1]])
    assert np.allclose(gaps, duration / len(times))


def test_a_sample_is_the_last_key_frame_before_its_time(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "dense.mp4", grey_ramp, Clip(seconds=8, frames_per_keyframe=8))
    assert sampled(path) == [0.8, 2.4, 4.8, 6.4]


def test_between_far_key_frames_the_film_is_decoded_forward(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "sparse.mp4", grey_ramp, Clip(seconds=10, frames_per_keyframe=50))
    assert sampled(path) == [0.0, 3.0, 5.0, 7.0, 9.0]


def test_a_film_with_one_key_frame_is_sampled_to_its_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "single.mp4", grey_ramp, Clip(seconds=10, frames_per_keyframe=999))
    assert sampled(path) == [0.0, 3.0, 5.0, 7.0, 9.0]


def test_a_long_film_gives_no_more_than_the_limit(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", grey_ramp, Clip(seconds=11, frames_per_keyframe=5))
    assert len(sampled(path, Sampling(interval_s=0.5, frames_max=7))) == 7


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.ts", "libx264")]
)
def test_other_containers_are_sampled_too(tmp_path: Path, name: str, codec: str) -> None:
    path = write_clip(tmp_path / name, grey_ramp, Clip(seconds=8, codec=codec))
    times = sampled(path)
    assert len(times) == 4
    assert times == sorted(times)


def test_a_stream_recorded_without_a_length_is_sampled_to_its_end(tmp_path: Path) -> None:
    clip = Clip(seconds=8, codec="libvpx")
    path = write_clip(tmp_path / "live.webm", grey_ramp, clip, options={"live": "1"})
    times = sampled(path)
    assert len(times) == 4
    assert times[-1] >= 5


def test_a_film_of_one_frame_gives_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "one.mp4", grey_ramp, Clip(seconds=0.1))
    assert sampled(path) == [0.0]


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:, :64] = 255
    path = write_pictures(tmp_path / "turned.mp4", [picture])
    turn_clockwise(path)
    (frame,) = sample_frames(path, TWO_SECONDS)
    assert frame.picture.shape == (128, 64, 3)
    assert frame.picture[:48].mean() > 250
    assert frame.picture[80:].mean() < 5


def test_a_film_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mkv", grey_ramp, Clip(seconds=10))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    times = sampled(path)
    assert len(times) >= 2
    assert max(times) < 8


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "hurt.mp4", grey_ramp, Clip(seconds=10, frames_per_keyframe=50))
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)
    frames = list(sample_frames(path, TWO_SECONDS))
    assert frames[0].time_s == 0
    assert frames[-1].time_s > 8


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(1).bytes(5000))
    (tmp_path / "text.mp4").write_text("not a film" * 100)
    (tmp_path / "itself").write_text("ffconcat version 1.0\nfile itself\n")
    for name in ("empty.mp4", "noise.mp4", "text.mp4", "itself", "absent.mp4", "."):
        with pytest.raises(UnreadableMedia) as refusal:
            list(sample_frames(tmp_path / name, TWO_SECONDS))
        assert refusal.value.code == "UNREADABLE_MEDIA"


def test_a_truncated_mp4_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "truncated.mp4", grey_ramp)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UnreadableMedia):
        list(sample_frames(path, TWO_SECONDS))


def test_a_film_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "rubbish.mp4", grey_ramp)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = np.random.default_rng(1).bytes(end - start)
    path.write_bytes(content)
    with pytest.raises(UnreadableMedia, match="Not one picture"):
        list(sample_frames(path, TWO_SECONDS))


def test_pictures_larger_than_the_limit_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "large.mp4", grey_ramp, Clip(seconds=1))
    monkeypatch.setattr(sampling, "PIXELS_MAX", 5000)
    with pytest.raises(UnreadableMedia):
        list(sample_frames(path, TWO_SECONDS))
    monkeypatch.setattr(sampling, "PIXELS_MAX", 50_000)
    assert len(list(sample_frames(path, TWO_SECONDS))) == 1


def test_senseless_sampling_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot sample"):
        Sampling(interval_s=0)
    with pytest.raises(ValueError, match="cannot sample"):
        Sampling(frames_max=0)


def test_a_list_of_films_is_no_film(tmp_path: Path) -> None:
    """It could name itself, which FFmpeg would open until the process has no room left."""
    write_clip(tmp_path / "film.mp4", grey_ramp)
    (tmp_path / "list").write_text("ffconcat version 1.0\nfile film.mp4\n")
    with pytest.raises(UnreadableMedia):
        list(sample_frames(tmp_path / "list", TWO_SECONDS))
