"""Preparation of the model files."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import pytest

import infra.models
from infra.model_files import ModelFiles
from infra.models import MANIFEST, ModelPreparationError, prepare_models
from processors.moderation.images import ImageModerator
from processors.moderation.text import TextModerator

SCORING = """
import sys
from pathlib import Path
import numpy as np
from processors.moderation.images import ImageModerator
from processors.moderation.text import TextModerator
from processors.moderation.video import VideoModerator
VideoModerator(ImageModerator(Path(sys.argv[1])))
assert TextModerator(Path(sys.argv[2])).score(["you idiot"])[0] > 0.8
wanted_at_preparation_only = {"cv2", "joblib", "nudenet", "onnx", "scipy", "skl2onnx", "sklearn"}
print(sorted(wanted_at_preparation_only & set(sys.modules)))
"""


def modification_times(files: ModelFiles) -> list[int]:
    return [path.stat().st_mtime_ns for path in files.all()]


@pytest.fixture
def prepared(tmp_path: Path) -> ModelFiles:
    return prepare_models(tmp_path / "deep" / "models")


def test_a_second_preparation_changes_nothing(prepared: ModelFiles) -> None:
    before = modification_times(prepared)
    assert prepare_models(prepared.image_detector.parent) == prepared
    assert modification_times(prepared) == before


def test_nothing_else_is_left_in_the_folder(prepared: ModelFiles) -> None:
    names = {path.name for path in prepared.image_detector.parent.iterdir()}
    assert names == {MANIFEST, *(path.name for path in prepared.all())}


@pytest.mark.parametrize("index", range(4))
def test_a_damaged_or_absent_file_is_prepared_anew(prepared: ModelFiles, index: int) -> None:
    path = prepared.all()[index]
    whole = path.read_bytes()
    for damage in (lambda: path.write_bytes(whole[:50]), path.unlink):
        damage()
        prepare_models(path.parent)
        assert path.read_bytes() == whole


def test_another_version_of_the_preparation_prepares_anew(
    prepared: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = modification_times(prepared)
    monkeypatch.setattr(infra.models, "PREPARATION_VERSION", 2)
    prepare_models(prepared.image_detector.parent)
    assert all(
        after > earlier for after, earlier in zip(modification_times(prepared), before, strict=True)
    )


def test_prepared_models_can_be_used(prepared: ModelFiles) -> None:
    assert ImageModerator(prepared.image_detector).score([]) == []
    assert TextModerator(prepared.text_classifier).score(["you idiot"])[0] > 0.8


def test_scoring_needs_none_of_the_packages_of_the_preparation(model_files: ModelFiles) -> None:
    arguments = [str(model_files.image_detector), str(model_files.text_classifier)]
    finished = subprocess.run(
        [sys.executable, "-c", SCORING, *arguments], capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout.strip()) == (0, "[]"), finished.stderr


def test_a_package_that_is_absent_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without_nudenet(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "nudenet" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_nudenet)
    with pytest.raises(ModelPreparationError, match="nudenet is not installed") as refusal:
        prepare_models(tmp_path)
    assert refusal.value.code == "MODEL_PREPARATION_FAILED"


def changed_vectorizer(folder: Path, **parameters: object) -> Path:
    """Write scikit-learn's vectorizer with other parameters; return where."""
    vectorizer = joblib.load(infra.models._find_sources().vectorizer)
    vectorizer.set_params(**parameters)
    path = folder / "vectorizer.joblib"
    joblib.dump(vectorizer, path)
    return path


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [({"sublinear_tf": True}, "sublinear_tf"), ({"stop_words": ["idiot"]}, "differs")],
)
def test_a_text_model_that_would_score_otherwise_is_refused(
    tmp_path: Path, parameters: dict[str, object], reason: str
) -> None:
    sources = infra.models._find_sources()
    other = infra.models._Sources(
        sources.detector, changed_vectorizer(tmp_path, **parameters), sources.classifier
    )
    target = tmp_path / "text.onnx"
    with pytest.raises(ModelPreparationError, match=reason):
        infra.models._prepare_text_model(target, other)
    assert not target.exists()
