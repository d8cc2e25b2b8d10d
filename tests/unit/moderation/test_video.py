"""Films to verdicts; to the classifier of these tests red is explicit, green suggestive."""

from __future__ import annotations

from pathlib import Path

import pytest

from processors.moderation.errors import UnreadableMedia
from processors.moderation.images import ImageModerator
from processors.moderation.sampling import Sampling
from processors.moderation.verdict import Action, Thresholds
from processors.moderation.video import VideoModerator, aggregate
from tests.unit.moderation.clips import Clip, Colour, grey_ramp, write_clip
from tests.unit.moderation.onnx_models import write_colour_classifier

BLUE: Colour = (0, 0, 200)
RED: Colour = (245, 5, 0)
LIGHTER_RED: Colour = (205, 5, 0)
LONG = Clip(seconds=20, frames_per_keyframe=5)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.3], 0.3),
        ([0.99], 0.99),
        ([0.1, 0.99], 0.99),
        ([0.1, 0.2, 0.99], 0.9),
        ([0.1, 0.7, 0.99], 0.9),
        ([0.1, 0.71, 0.99], 0.99),
        ([0.1, 0.2, 0.85], 0.85),
        ([0.1, 0.2, 0.3], 0.3),
    ],
)
def test_a_lone_frame_never_blocks(scores: list[float], expected: float) -> None:
    assert aggregate(scores, Thresholds()) == expected
    assert aggregate(scores[::-1], Thresholds()) == expected


def test_a_film_without_frames_has_no_score() -> None:
    with pytest.raises(ValueError, match="without frames"):
        aggregate([], Thresholds())


@pytest.mark.parametrize(
    ("start_s", "end_s", "red", "action"),
    [
        (0, 20, RED, Action.BLOCK),
        (10, 14, RED, Action.BLOCK),
        (10, 11.5, RED, Action.REVIEW),
        (10, 14, LIGHTER_RED, Action.REVIEW),
        (0, 0, RED, Action.ALLOW),
    ],
)
def test_scenes_decide_over_films(
    tmp_path: Path,
    by_colour: ImageModerator,
    start_s: float,
    end_s: float,
    red: Colour,
    action: Action,
) -> None:
    def colour_at(time_s: float) -> Colour:
        return red if start_s <= time_s < end_s else BLUE

    path = write_clip(tmp_path / "film.mp4", colour_at, LONG)
    result = VideoModerator(by_colour).moderate(path)
    assert result.action is action
    assert result.flagged is (action is not Action.ALLOW)
    assert len(result.frames) == 10
    explicit = {round(frame.time_s) for frame in result.frames if frame.score.explicit > 0.5}
    assert all(start_s <= time_s <= end_s for time_s in explicit)


def test_batches_change_nothing(tmp_path: Path, by_colour: ImageModerator) -> None:
    path = write_clip(tmp_path / "ramp.mp4", grey_ramp, Clip(seconds=5))
    classifier = write_colour_classifier(tmp_path / "four.onnx")
    results = [
        VideoModerator(ImageModerator(classifier, batch_size=size), sampling=Sampling(0.5))
        for size in (1, 4, 100)
    ]
    first, *others = [moderator.moderate(path) for moderator in results]
    assert len(first.frames) == 10
    assert others == [first, first]


def test_thresholds_and_sampling_are_the_callers(tmp_path: Path, by_colour: ImageModerator) -> None:
    path = write_clip(tmp_path / "film.mp4", lambda _: (102, 0, 0), Clip(seconds=4))
    strict = Thresholds(block=0.35, review=0.1)
    moderator = VideoModerator(by_colour, strict, Sampling(interval_s=1.0, frames_max=3))
    result = moderator.moderate(path)
    assert result.action is Action.BLOCK
    assert len(result.frames) == 3


def test_an_ordinary_film_is_allowed_by_the_real_model(
    tmp_path: Path, detector: ImageModerator
) -> None:
    path = write_clip(tmp_path / "film.mp4", grey_ramp, Clip(width=640, height=360))
    result = VideoModerator(detector, decoder_threads=2).moderate(path)
    assert result.action is Action.ALLOW
    assert len(result.frames) == 3
    assert result.nsfw_score == max(frame.score.nsfw_score for frame in result.frames)


def test_a_damaged_file_says_so(tmp_path: Path, by_colour: ImageModerator) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(500))
    with pytest.raises(UnreadableMedia) as refusal:
        VideoModerator(by_colour).moderate(path)
    assert refusal.value.code == "UNREADABLE_MEDIA"
