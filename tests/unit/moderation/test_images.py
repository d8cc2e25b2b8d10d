from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.model_files import ModelFiles
from infra.models import NUDENET
from processors.moderation.description import description_path
from processors.moderation.errors import InvalidModel
from processors.moderation.images import ImageModerator, detector_scores
from processors.moderation.preprocess import Frame
from processors.moderation.verdict import Action, FrameScore, Label, decide
from tests.unit.moderation.clips import solid
from tests.unit.moderation.onnx_models import (
    write_colour_classifier,
    write_colour_detector,
    write_constant_classifier,
)

CLASS_COUNT = len(NUDENET.classes)


def found(**confidences: float) -> FrameScore:
    """Return what the mapping makes of findings of the default detector."""
    row = [confidences.get(name, 0.0) for name in NUDENET.classes]
    return detector_scores(np.array([row]), NUDENET)[0]


def skin_coloured_shapes() -> Frame:
    """Return a picture with two ellipses and a band in a colour of skin."""
    rows, columns = np.mgrid[0:360, 0:640]
    picture = np.full((360, 640, 3), (60, 90, 140), np.uint8)
    for row, column in ((120, 220), (220, 420)):
        inside = ((rows - row) / 90) ** 2 + ((columns - column) / 70) ** 2 < 1
        picture[inside] = (224, 172, 140)
    picture[300:340] = (198, 134, 100)
    return picture


def gradient() -> Frame:
    levels = np.linspace(0, 255, 640).astype(np.uint8)
    return np.broadcast_to(levels[None, :, None], (480, 640, 3)).copy()


def noise(seed: int) -> Frame:
    return np.random.default_rng(seed).integers(0, 256, (240, 426, 3), np.uint8)


def test_pictures_without_bodies_are_safe(detector: ImageModerator) -> None:
    frames = [noise(1), gradient(), skin_coloured_shapes(), solid((255, 220, 180), 320, 240)]
    for score in detector.score(frames):
        assert score.safe > 0.8
        assert decide(score.nsfw_score).action is Action.ALLOW


def test_a_batch_scores_as_its_members_do(model_files: ModelFiles) -> None:
    moderator = ImageModerator(model_files.image_detector, threads=2, batch_size=3)
    frames = [noise(1), gradient(), skin_coloured_shapes(), noise(2), solid((0, 0, 0), 64, 64)]
    together = moderator.score(frames)
    alone = [moderator.score([frame])[0] for frame in frames]
    for first, second in zip(together, alone, strict=True):
        assert first.nsfw_score == pytest.approx(second.nsfw_score, abs=1e-4)


def test_no_pictures_have_no_scores(detector: ImageModerator) -> None:
    assert detector.score([]) == []


def test_probabilities_add_up_to_one(detector: ImageModerator) -> None:
    score = detector.score([noise(3)])[0]
    assert score.safe + score.explicit + score.suggestive == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("part", NUDENET.explicit)
def test_an_exposed_part_goes_from_allow_over_review_to_block(part: str) -> None:
    actions = [
        decide(found(**{part: confidence}).nsfw_score).action for confidence in (0.3, 0.55, 0.7)
    ]
    assert actions == [Action.ALLOW, Action.REVIEW, Action.BLOCK]


def test_covered_parts_alone_never_reach_review() -> None:
    score = found(**dict.fromkeys(NUDENET.suggestive, 1.0))
    assert score.suggestive > score.safe
    assert not decide(score.nsfw_score).flagged


def test_faces_and_feet_say_nothing() -> None:
    assert found(FACE_FEMALE=0.99, FEET_EXPOSED=0.9, ARMPITS_EXPOSED=0.9) == found()
    assert found().safe > 0.98


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=CLASS_COUNT, max_size=CLASS_COUNT),
    st.integers(0, CLASS_COUNT - 1),
    st.floats(0, 1),
)
def test_more_confidence_never_lowers_the_score(
    confidences: list[float], index: int, more: float
) -> None:
    raised = [*confidences]
    raised[index] = max(raised[index], more)
    before, after = detector_scores(np.array([confidences, raised]), NUDENET)
    assert after.nsfw_score >= before.nsfw_score - 1e-6


def test_a_detector_takes_the_strongest_of_its_findings(tmp_path: Path) -> None:
    moderator = ImageModerator(write_colour_detector(tmp_path / "detector.onnx"))
    bare, dressed, face, nothing = moderator.score(
        [solid(colour, 32, 32) for colour in ((230, 0, 0), (0, 230, 0), (0, 0, 230), (0, 0, 0))]
    )
    assert decide(bare.nsfw_score).action is Action.BLOCK
    assert bare.explicit == pytest.approx(found(ANUS_EXPOSED=230 / 255).explicit, abs=1e-4)
    assert dressed.suggestive > 0.3
    assert decide(dressed.nsfw_score).action is Action.ALLOW
    assert face == nothing


def test_a_classifier_is_used_by_its_path_alone(by_colour: ImageModerator) -> None:
    colours = [(245, 0, 0), (102, 102, 0), (0, 0, 255)]
    scores = by_colour.score([solid(colour, 40, 30) for colour in colours])
    assert scores[0].explicit == pytest.approx(245 / 255, abs=1e-5)
    assert scores[1] == FrameScore(safe=0.2, explicit=0.4, suggestive=0.4)
    actions = [decide(score.nsfw_score).action for score in scores]
    assert actions == [Action.BLOCK, Action.REVIEW, Action.ALLOW]


def test_the_description_gives_the_order_of_the_labels(tmp_path: Path) -> None:
    labels = (Label.SUGGESTIVE, Label.SAFE, Label.EXPLICIT)
    moderator = ImageModerator(write_colour_classifier(tmp_path / "turned.onnx", labels))
    assert moderator.score([solid((204, 51, 0), 8, 8)])[0] == FrameScore(0.0, 0.8, 0.2)


@pytest.mark.parametrize(
    ("values", "score", "action"),
    [
        ((0.1, 0.5, 0.4), 0.9, Action.REVIEW),
        ((0.3, 0.4, 0.3), 0.7, Action.ALLOW),
        ((0.0999, 0.5, 0.4001), 0.9001, Action.BLOCK),
    ],
)
def test_float32_does_not_push_a_score_over_a_threshold(
    tmp_path: Path, values: tuple[float, float, float], score: float, action: Action
) -> None:
    moderator = ImageModerator(write_constant_classifier(tmp_path / "constant.onnx", values))
    verdict = decide(moderator.score([noise(1)])[0].nsfw_score)
    assert (verdict.nsfw_score, verdict.action) == (score, action)


def test_logits_are_softmaxed(tmp_path: Path) -> None:
    logits = (0.0, float(np.log(2)), float(np.log(5)))
    path = write_constant_classifier(tmp_path / "logits.onnx", logits, output="logits")
    assert ImageModerator(path).score([noise(1)])[0] == FrameScore(0.125, 0.25, 0.625)


def test_a_model_of_fixed_batch_size_is_fed_in_that_size(tmp_path: Path) -> None:
    path = write_colour_classifier(tmp_path / "four.onnx", batch=4)
    moderator = ImageModerator(path, batch_size=9)
    reds = [0, 51, 102, 153, 204]
    scores = moderator.score([solid((red, 0, 0), 8, 8) for red in reds])
    assert [score.explicit for score in scores] == [0.0, 0.2, 0.4, 0.6, 0.8]


def test_an_output_that_is_no_probability_is_refused(tmp_path: Path) -> None:
    path = write_constant_classifier(tmp_path / "wrong.onnx", (3.0, -1.0, -1.0))
    with pytest.raises(InvalidModel, match="probabilities"):
        ImageModerator(path)


def test_a_classifier_of_two_labels_is_refused(tmp_path: Path) -> None:
    path = write_constant_classifier(tmp_path / "two.onnx", (0.5, 0.5))
    with pytest.raises(InvalidModel, match=r"\[batch, 3\]"):
        ImageModerator(path)


def test_a_description_of_another_size_is_refused(tmp_path: Path) -> None:
    path = write_colour_classifier(tmp_path / "size.onnx")
    description = json.loads(description_path(path).read_text())
    description["input"]["width"] = 99
    description_path(path).write_text(json.dumps(description))
    with pytest.raises(InvalidModel, match="refuses its input"):
        ImageModerator(path)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["safe", "safe", "explicit"]},
        {"labels": ["safe", "explicit"]},
        {"kind": "oracle"},
        {"surprise": 1},
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = write_colour_classifier(tmp_path / "described.onnx")
    description = json.loads(description_path(path).read_text()) | change
    description_path(path).write_text(json.dumps(description))
    with pytest.raises(InvalidModel, match="no usable description") as refusal:
        ImageModerator(path)
    assert refusal.value.code == "INVALID_MODEL"


def test_an_explicit_class_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    path = write_colour_detector(tmp_path / "detector.onnx")
    description = json.loads(description_path(path).read_text()) | {"explicit": ["elbow"]}
    description_path(path).write_text(json.dumps(description))
    with pytest.raises(InvalidModel, match="elbow"):
        ImageModerator(path)


def test_absent_and_damaged_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidModel, match="no usable description"):
        ImageModerator(tmp_path / "absent.onnx")
    path = write_colour_classifier(tmp_path / "damaged.onnx")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InvalidModel, match="cannot load"):
        ImageModerator(path)
