"""The input is what the detector was published with, compared with its own code."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import sklearn.datasets  # type: ignore[import-untyped]
from nudenet import nudenet  # type: ignore[import-untyped]

from infra.models import NUDENET, NUDENET_CLASSES
from processors.moderation.description import ImageInput
from processors.moderation.images import ImageModerator, detector_scores
from processors.moderation.preprocess import Frame, Tensor, to_input
from processors.moderation.session import OnnxSession

PHOTOGRAPHS = Path(sklearn.datasets.__file__).parent / "images"


def reference_input(frame: Frame) -> Tensor:
    """Return what nudenet makes of a picture that it has read from a file (which gives BGR)."""
    blob: Tensor = nudenet._read_image(np.ascontiguousarray(frame[:, :, ::-1]))[0]
    return blob


def photograph(name: str) -> Frame:
    image = cv2.imread(str(PHOTOGRAPHS / name))
    assert image is not None
    return np.ascontiguousarray(image[:, :, ::-1]).astype(np.uint8)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_photographs_become_exactly_the_detectors_own_input(name: str) -> None:
    frame = photograph(name)
    ours = to_input(frame, NUDENET.input)
    np.testing.assert_allclose(ours[None], reference_input(frame), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("height", "width"), [(1080, 1920), (1920, 1080), (640, 640), (480, 853), (321, 320)]
)
def test_noise_of_any_shape_becomes_exactly_the_detectors_own_input(
    height: int, width: int
) -> None:
    frame = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
    ours = to_input(frame, NUDENET.input)
    np.testing.assert_allclose(ours[None], reference_input(frame), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (100, 57), (90, 160), (200, 319)])
def test_enlarged_pictures_differ_by_no_more_than_one_level(height: int, width: int) -> None:
    frame = np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)
    difference = np.abs(to_input(frame, NUDENET.input)[None] - reference_input(frame))
    assert difference.max() <= 1.001 / 255


def test_the_model_says_the_same_of_both_inputs(detector: ImageModerator) -> None:
    reference = nudenet.NudeDetector()
    frame = photograph("china.jpg")
    theirs = reference.onnx_session.run(None, {"images": reference_input(frame)})[0]
    ours = reference.onnx_session.run(None, {"images": detector.prepare(frame)[None]})[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_classes_are_the_detectors_own() -> None:
    assert vars(nudenet)["__labels"] == list(NUDENET_CLASSES)


def test_scores_rest_on_the_packages_own_model(detector: ImageModerator) -> None:
    own = OnnxSession(Path(nudenet.__file__).parent / "320n.onnx")
    frame = photograph("flower.jpg")
    confidences = own.run({"images": reference_input(frame)})[0][:, 4:].max(axis=2)
    expected = detector_scores(confidences.astype(np.float64), NUDENET)[0]
    assert detector.score([frame])[0].nsfw_score == pytest.approx(expected.nsfw_score, abs=1e-4)
    assert expected.safe > 0.9


def test_a_letterbox_fills_the_right_or_the_bottom_with_black() -> None:
    wanted = ImageInput(width=10, height=10)
    wide = to_input(np.full((50, 100, 3), 255, np.uint8), wanted)
    assert (wide[:, :5] == 1).all()
    assert (wide[:, 5:] == 0).all()
    tall = to_input(np.full((100, 50, 3), 255, np.uint8), wanted)
    assert (tall[:, :, :5] == 1).all()
    assert (tall[:, :, 5:] == 0).all()


def test_a_turned_picture_is_scaled_as_its_copy_is() -> None:
    upright = np.rot90(np.random.default_rng(7).integers(0, 256, (72, 128, 3), np.uint8))
    copied = np.ascontiguousarray(upright)
    assert np.array_equal(to_input(upright, NUDENET.input), to_input(copied, NUDENET.input))


def test_a_stretched_picture_is_normalised_by_channel() -> None:
    wanted = ImageInput(
        width=8, height=4, resize="stretch", mean=(0.5, 0.0, 0.25), deviation=(0.5, 1.0, 0.25)
    )
    frame = np.full((30, 90, 3), (255, 51, 0), np.uint8)
    values = to_input(frame, wanted)
    assert values.shape == (3, 4, 8)
    np.testing.assert_allclose(values[:, 0, 0], [1.0, 0.2, -1.0], atol=1e-6)


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (0, 10, 3)])
def test_what_is_no_rgb_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not an RGB picture"):
        to_input(np.zeros(shape, np.uint8), NUDENET.input)
