"""Prepares the default moderation models from installed packages, once and without a network.

- The picture model is the 320-pixel detector inside the package ``nudenet`` (YOLOv8n), copied.
- The text model is the one inside ``alt-profanity-check``: words counted, weighted by rarity and
  brought to length one, then five calibrated linear models whose probabilities are averaged. All
  of it after the counting becomes one small ONNX graph, which is compared with scikit-learn
  before it is accepted. A converter for whole pipelines exists, but the tokenizer that it emits
  needs an ``en_US`` locale on the machine and will not load without it; so words are cut and
  counted by ``processors.moderation.text``.

The packages are the optional dependencies ``models``. They are needed here and nowhere else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from events.errors import StreamHubError
from infra.model_files import IMAGE_MODEL, TEXT_MODEL, ModelFiles
from processors.moderation.description import (
    DetectorDescription,
    ImageInput,
    LogitLine,
    TextDescription,
    description_path,
)
from processors.moderation.images import ImageModerator
from processors.moderation.text import TextModerator

# Raised by one whenever what is written below changes, so that old files are prepared anew.
PREPARATION_VERSION = 1
DIFFERENCE_MAX = 1e-4
ONNX_OPSET = 17
ONNX_IR = 8

MANIFEST = "models.json"

# The order of the detector's outputs, from nudenet 3.4.
NUDENET_CLASSES = (
    "FEMALE_GENITALIA_COVERED",
    "FACE_FEMALE",
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "ANUS_EXPOSED",
    "FEET_EXPOSED",
    "BELLY_COVERED",
    "FEET_COVERED",
    "ARMPITS_COVERED",
    "ARMPITS_EXPOSED",
    "FACE_MALE",
    "BELLY_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "ANUS_COVERED",
    "FEMALE_BREAST_COVERED",
    "BUTTOCKS_COVERED",
)

# The lines are chosen so that, at the default thresholds, an exposed part alone calls for review
# from a confidence of 0.49 and for a block from 0.60, while covered parts alone, which the
# detector finds on anybody who is dressed, never reach review (0.57 at most). The colours are BGR
# because nudenet swaps them twice between reading a file and running the model.
NUDENET = DetectorDescription(
    kind="detector",
    input=ImageInput(width=320, height=320, resize="letterbox", channels="bgr"),
    classes=NUDENET_CLASSES,
    explicit=(
        "ANUS_EXPOSED",
        "BUTTOCKS_EXPOSED",
        "FEMALE_BREAST_EXPOSED",
        "FEMALE_GENITALIA_EXPOSED",
        "MALE_GENITALIA_EXPOSED",
    ),
    suggestive=(
        "ANUS_COVERED",
        "BELLY_EXPOSED",
        "BUTTOCKS_COVERED",
        "FEMALE_BREAST_COVERED",
        "FEMALE_GENITALIA_COVERED",
        "MALE_BREAST_EXPOSED",
    ),
    explicit_logit=LogitLine(slope=12, midpoint=0.42),
    suggestive_logit=LogitLine(slope=6, midpoint=0.95),
)

CHECKED_SENTENCES = (
    "",
    "   ",
    "Thank you for this video, it helped me a lot!",
    "You are an idiot and nobody likes you.",
    "what the fuck is this shit",
    "FUCK YOU, you stupid moron",
    "I don't agree with the author's point at 3:45.",
    "die in a fire, asshole",
    "naïve café résumé über",
    "Привет, как дела?",
    "日本語のテキストです",
    "İSTANBUL'da güzel bir gün",
    "مرحبا بالعالم، هذا فيديو جميل",
    "one_two three-four five.six seven/eight",
    "😀😀 lol 😀 so funny",
    "a b c d e f g",
    "x" * 3000,
    "kill kill kill kill the process with id 42",
    "sh1t f*ck @ss",
    "Read\nlines\tand\u00a0spaces\u2003between words, damn it",
)


class ModelPreparationError(StreamHubError):
    """The models could not be prepared from the installed packages."""

    code = "MODEL_PREPARATION_FAILED"


class _Vectorizer(Protocol):
    """What is used of scikit-learn's TfidfVectorizer."""

    vocabulary_: dict[str, int]
    idf_: NDArray[np.float64]
    token_pattern: str

    def transform(self, texts: list[str]) -> Any: ...
    def get_params(self) -> dict[str, Any]: ...


class _Classifier(Protocol):
    """What is used of scikit-learn's CalibratedClassifierCV."""

    calibrated_classifiers_: list[Any]

    def predict_proba(self, features: Any) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class _Sources:
    """The files of the installed packages that the models are made from."""

    detector: Path
    vectorizer: Path
    classifier: Path

    def digests(self) -> list[str]:
        """Return what identifies their contents."""
        return [_digest(path) for path in (self.detector, self.vectorizer, self.classifier)]


def prepare_models(target_dir: Path) -> ModelFiles:
    """Return the models in a folder, having prepared those that are absent, changed or outdated.

    Safe to call again, and from several processes at once: every file appears complete or not at
    all. Raises ModelPreparationError when a package is not installed or the text model does not
    give scikit-learn's probabilities.
    """
    files = ModelFiles(target_dir / IMAGE_MODEL, target_dir / TEXT_MODEL)
    sources = _find_sources()
    if _is_current(files, sources):
        return files
    target_dir.mkdir(parents=True, exist_ok=True)
    _prepare_image_model(files.image_detector, sources.detector)
    _prepare_text_model(files.text_classifier, sources)
    _write(target_dir / MANIFEST, json.dumps(_manifest(files, sources), indent=1).encode())
    structlog.get_logger().info("moderation_models_prepared", folder=str(target_dir))
    return files


def _find_sources() -> _Sources:
    profanity = _package("profanity_check", "alt-profanity-check") / "data"
    return _Sources(
        detector=_package("nudenet", "nudenet") / "320n.onnx",
        vectorizer=profanity / "vectorizer.joblib",
        classifier=profanity / "model.joblib",
    )


def _package(module: str, distribution: str) -> Path:
    """Return a package's folder without importing it: nudenet would load OpenCV."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ModelPreparationError(
            f"The package {distribution} is not installed; install the extra 'models'."
        )
    return Path(spec.submodule_search_locations[0])


def _is_current(files: ModelFiles, sources: _Sources) -> bool:
    try:
        written = json.loads((files.image_detector.parent / MANIFEST).read_bytes())
        return bool(written == _manifest(files, sources))
    except (OSError, ValueError):
        return False


def _manifest(files: ModelFiles, sources: _Sources) -> dict[str, Any]:
    return {
        "preparation": PREPARATION_VERSION,
        "sources": sources.digests(),
        "files": {path.name: _digest(path) for path in files.all()},
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Put a file in place in one step."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as unfinished:
        unfinished.write(content)
    Path(unfinished.name).chmod(0o644)
    os.replace(unfinished.name, path)  # noqa: PTH105 the replacement of an open name is the point


def _prepare_image_model(target: Path, source: Path) -> None:
    _write(description_path(target), NUDENET.model_dump_json(indent=1).encode())
    _write(target, source.read_bytes())
    ImageModerator(target)


def _prepare_text_model(target: Path, sources: _Sources) -> None:
    vectorizer, classifier = _load(sources.vectorizer), _load(sources.classifier)
    _check_vectorizer(vectorizer)
    words = sorted(vectorizer.vocabulary_, key=lambda word: vectorizer.vocabulary_[word])
    description = TextDescription(
        kind="words", token_pattern=vectorizer.token_pattern, words=tuple(words)
    )
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        unproven = Path(folder) / target.name
        unproven.write_bytes(_text_graph(vectorizer, classifier))
        description_path(unproven).write_text(description.model_dump_json(), encoding="utf-8")
        _compare(TextModerator(unproven).score, vectorizer, classifier)
        _write(description_path(target), description_path(unproven).read_bytes())
        _write(target, unproven.read_bytes())


def _load(path: Path) -> Any:
    import joblib  # type: ignore[import-untyped]

    return joblib.load(path)


def _check_vectorizer(vectorizer: _Vectorizer) -> None:
    """Refuse a vectorizer that counts words in another way than the text moderator does."""
    expected = {
        "analyzer": "word",
        "binary": False,
        "lowercase": True,
        "ngram_range": (1, 1),
        "norm": "l2",
        "preprocessor": None,
        "strip_accents": None,
        "sublinear_tf": False,
        "tokenizer": None,
        "use_idf": True,
    }
    actual = vectorizer.get_params()
    different = sorted(name for name, value in expected.items() if actual[name] != value)
    if different:
        raise ModelPreparationError(f"The vectorizer counts words in another way: {different}")


def _compare(
    score: Callable[[list[str]], list[float]], vectorizer: _Vectorizer, classifier: _Classifier
) -> None:
    sentences = list(CHECKED_SENTENCES)
    expected = classifier.predict_proba(vectorizer.transform(sentences))[:, 1]
    difference = float(np.abs(np.array(score(sentences)) - expected).max())
    if difference > DIFFERENCE_MAX:
        raise ModelPreparationError(
            f"The text model differs from scikit-learn's by {difference:.2e}."
        )


def _text_graph(vectorizer: _Vectorizer, classifier: _Classifier) -> bytes:
    """Return the ONNX model: tokens, counts [batch, words] -> probability [batch].

    With x = count * idf for each word, a linear model's decision is sum(x * weight) / |x| +
    intercept, and its calibrated probability 1 / (1 + exp(a * decision + b)); the models'
    probabilities are averaged. Token 0 is padding and weighs nothing.
    """
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        name: numpy_helper.from_array(value, name)
        for name, value in _text_constants(vectorizer, classifier).items()
    }
    graph = helper.make_graph(
        _text_nodes(helper.make_node),
        "text_toxicity",
        [
            helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "words"]),
            helper.make_tensor_value_info("counts", TensorProto.FLOAT, ["batch", "words"]),
        ],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch"])],
        initializer=list(constants.values()),
    )
    opset = [helper.make_opsetid("", ONNX_OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=ONNX_IR)
    return bytes(model.SerializeToString())


def _text_constants(vectorizer: _Vectorizer, classifier: _Classifier) -> dict[str, NDArray[Any]]:
    members = classifier.calibrated_classifiers_
    calibrators = [member.calibrators[0] for member in members]
    idf = vectorizer.idf_
    weights = np.stack([member.estimator.coef_[0] * idf for member in members], axis=1)
    padding = np.zeros((1, len(members)))
    constants = {
        "idf": np.concatenate([[0.0], idf]),
        "weights": np.concatenate([padding, weights]),
        "intercepts": np.array([member.estimator.intercept_[0] for member in members]),
        "minus_a": np.array([-calibrator.a_ for calibrator in calibrators]),
        "minus_b": np.array([-calibrator.b_ for calibrator in calibrators]),
        "smallest_norm": np.array(1e-12),
    }
    result: dict[str, NDArray[Any]] = {
        name: value.astype(np.float32) for name, value in constants.items()
    }
    return result | {"words_axis": np.array([1]), "last_axis": np.array([2])}


def _text_nodes(node: Callable[..., Any]) -> list[Any]:
    return [
        node("Gather", ["idf", "tokens"], ["word_idf"]),
        node("Mul", ["word_idf", "counts"], ["x"]),
        node("ReduceL2", ["x"], ["norm"], axes=[1], keepdims=1),
        node("Max", ["norm", "smallest_norm"], ["safe_norm"]),
        node("Gather", ["weights", "tokens"], ["word_weights"]),
        node("Unsqueeze", ["counts", "last_axis"], ["column_counts"]),
        node("Mul", ["word_weights", "column_counts"], ["weighted"]),
        node("ReduceSum", ["weighted", "words_axis"], ["sums"], keepdims=0),
        node("Div", ["sums", "safe_norm"], ["linear"]),
        node("Add", ["linear", "intercepts"], ["decisions"]),
        node("Mul", ["decisions", "minus_a"], ["scaled"]),
        node("Add", ["scaled", "minus_b"], ["logits"]),
        node("Sigmoid", ["logits"], ["probabilities"]),
        node("ReduceMean", ["probabilities"], ["probability"], axes=[1], keepdims=0),
    ]
