"""The real models, prepared once for all tests of moderation."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.model_files import ModelFiles
from infra.models import prepare_models
from processors.moderation.images import ImageModerator
from processors.moderation.text import TextModerator
from tests.unit.moderation.onnx_models import write_colour_classifier


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return prepare_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def detector(model_files: ModelFiles) -> ImageModerator:
    return ImageModerator(model_files.image_detector)


@pytest.fixture(scope="session")
def text_moderator(model_files: ModelFiles) -> TextModerator:
    return TextModerator(model_files.text_classifier)


@pytest.fixture
def by_colour(tmp_path: Path) -> ImageModerator:
    """Return a classifier for which red is explicit and green is suggestive."""
    return ImageModerator(write_colour_classifier(tmp_path / "colour.onnx"))
