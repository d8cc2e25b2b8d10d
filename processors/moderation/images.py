"""Pictures to probabilities of the three labels.

The default model is a *detector* of parts of bodies, not a classifier of three labels. Its
findings are mapped: e is the highest confidence of any exposed part anywhere in the picture, s the
highest of any covered or partly bared part; logit(explicit) = a * (e - m), logit(suggestive) =
b * (s - n), logit(safe) = 0, then softmax. So nsfw_score = (E + S) / (1 + E + S) with E and S the
exponentials: it rises with every confidence and falls with none. Overlapping boxes are not
suppressed, because a stronger covered part must not hide an exposed one. The probabilities are an
ordering with sensible thresholds, not frequencies measured on labelled pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from processors.moderation.description import (
    ClassifierDescription,
    DetectorDescription,
    LogitLine,
    load_image_description,
)
from processors.moderation.errors import InvalidModel
from processors.moderation.preprocess import Frame, Tensor, to_input
from processors.moderation.session import OnnxSession
from processors.moderation.verdict import FrameScore, Label, rounded

_Outputs = NDArray[np.float32]
_Probabilities = NDArray[np.float64]

BOX_NUMBERS = 4
SUM_TOLERANCE = 1e-3


class ImageModerator:
    """Scores pictures with the model at a path, whose description lies beside it as JSON.

    ``batch_size`` bounds memory; on a processor larger batches are not faster. Raises InvalidModel
    when the model is unusable, already when it is loaded.
    """

    def __init__(self, model_path: Path, threads: int = 1, batch_size: int = 1) -> None:
        self.description = load_image_description(model_path)
        self._session = OnnxSession(model_path, threads)
        self._input = self._session.inputs[0]
        self._to_scores = _reader(self.description)
        self.batch_size = self._input.shape[0] or batch_size
        self._infer([self.prepare(np.zeros((8, 8, 3), np.uint8))])

    def score(self, frames: Sequence[Frame]) -> list[FrameScore]:
        """Return a score per RGB picture of [height, width, 3], in their order."""
        return self.score_prepared([self.prepare(frame) for frame in frames])

    def prepare(self, frame: Frame) -> Tensor:
        """Return the model's input for one picture; much smaller than most pictures."""
        return to_input(frame, self.description.input)

    def score_prepared(self, tensors: Sequence[Tensor]) -> list[FrameScore]:
        """Return a score per prepared picture, computed batch by batch."""
        scores: list[FrameScore] = []
        for start in range(0, len(tensors), self.batch_size):
            scores += self._infer(tensors[start : start + self.batch_size])
        return scores

    def _infer(self, tensors: Sequence[Tensor]) -> list[FrameScore]:
        outputs = self._session.run({self._input.name: self._batch(tensors)})[0]
        return self._to_scores(outputs)[: len(tensors)]

    def _batch(self, tensors: Sequence[Tensor]) -> Tensor:
        """Stack pictures; a model of fixed batch size gets the last one repeated."""
        missing = (self._input.shape[0] or len(tensors)) - len(tensors)
        if len(tensors) == 1 and not missing:
            return tensors[0][None]
        return np.stack([*tensors, *[tensors[-1]] * missing])


def _reader(
    description: DetectorDescription | ClassifierDescription,
) -> Callable[[_Outputs], list[FrameScore]]:
    match description:
        case DetectorDescription():
            return lambda outputs: _detector_scores(outputs, description)
        case ClassifierDescription():
            return lambda outputs: _classifier_scores(outputs, description)


def _detector_scores(outputs: _Outputs, description: DetectorDescription) -> list[FrameScore]:
    if outputs.ndim != 3 or outputs.shape[1] != BOX_NUMBERS + len(description.classes):
        raise InvalidModel(f"a detector's output of shape {outputs.shape} does not fit its classes")
    confidences = outputs[:, BOX_NUMBERS:].max(axis=2).astype(np.float64)
    return detector_scores(confidences, description)


def detector_scores(
    confidences: _Probabilities, description: DetectorDescription
) -> list[FrameScore]:
    """Map [pictures, classes], the highest confidence of each class, to the three labels."""
    explicit = _highest(confidences, description.classes, description.explicit)
    suggestive = _highest(confidences, description.classes, description.suggestive)
    logits = np.zeros((len(confidences), len(Label)))
    logits[:, 1] = _logit(explicit, description.explicit_logit)
    logits[:, 2] = _logit(suggestive, description.suggestive_logit)
    return _frame_scores(softmax(logits), (Label.SAFE, Label.EXPLICIT, Label.SUGGESTIVE))


def _highest(
    confidences: _Probabilities, classes: tuple[str, ...], members: tuple[str, ...]
) -> _Probabilities:
    columns = [classes.index(member) for member in members]
    highest: _Probabilities = confidences[:, columns].max(axis=1)
    return highest


def _logit(confidence: _Probabilities, line: LogitLine) -> _Probabilities:
    return line.slope * (confidence - line.midpoint)


def _classifier_scores(outputs: _Outputs, description: ClassifierDescription) -> list[FrameScore]:
    if outputs.ndim != 2 or outputs.shape[1] != len(Label):
        raise InvalidModel(f"a classifier's output must be [batch, 3], not {outputs.shape}")
    probabilities = outputs.astype(np.float64)
    if description.output == "logits":
        probabilities = softmax(probabilities)
    return _frame_scores(probabilities, description.labels)


def softmax(logits: _Probabilities) -> _Probabilities:
    """Return the softmax of each row."""
    powers: _Probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _frame_scores(
    probabilities: _Probabilities, labels: tuple[Label, Label, Label]
) -> list[FrameScore]:
    sums = probabilities.sum(axis=1)
    if not (np.all(probabilities >= 0) and np.all(np.abs(sums - 1) < SUM_TOLERANCE)):
        raise InvalidModel("the model's output is not probabilities that add up to one")
    names = [label.value for label in labels]
    return [FrameScore(**dict(zip(names, map(rounded, row), strict=True))) for row in probabilities]
