"""Small image models whose outputs are known, written with the description that belongs to them.

With them a test can make a picture or a film be blocked, reviewed or allowed at will.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from processors.moderation.description import (
    ClassifierDescription,
    DetectorDescription,
    ImageInput,
    LogitLine,
    description_path,
)
from processors.moderation.verdict import Label

SIDE = 16
INPUT = ImageInput(width=SIDE, height=SIDE, resize="stretch", channels="rgb")
LABELS = (Label.SAFE, Label.EXPLICIT, Label.SUGGESTIVE)


def write_colour_classifier(
    path: Path, labels: tuple[Label, Label, Label] = LABELS, batch: int | str = "batch"
) -> Path:
    """Write a classifier by mean colour: p(explicit) = red, p(suggestive) = green, 0..1 each.

    Where red and green add up to more than one, both are taken in proportion.
    """
    columns = {Label.SAFE: (-1, -1, 0), Label.EXPLICIT: (1, 0, 0), Label.SUGGESTIVE: (0, 1, 0)}
    weights = np.array([columns[label] for label in labels], np.float32).T
    offsets = np.array([label is Label.SAFE for label in labels], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["means", "weights", "offsets"], ["unlimited"]),
        helper.make_node("Clip", ["unlimited", "zero", "one"], ["shares"]),
        helper.make_node("ReduceSum", ["shares", "axis"], ["total"], keepdims=1),
        helper.make_node("Div", ["shares", "total"], ["probabilities"]),
    ]
    numbers = {"zero": _number(0), "one": _number(1), "axis": np.array([1])}
    constants = {"weights": weights, "offsets": offsets, **numbers}
    _write_model(path, nodes, constants, batch, [batch, 3])
    return _describe(path, ClassifierDescription(kind="classifier", input=INPUT, labels=labels))


def write_constant_classifier(
    path: Path, values: Sequence[float], output: str = "probabilities"
) -> Path:
    """Write a classifier that gives every picture the same safe, explicit, suggestive."""
    row = np.array([values], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["means", "axis"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "row"], ["probabilities"]),
    ]
    constants = {"axis": np.array([1]), "zero": _number(0), "row": row}
    _write_model(path, nodes, constants, "batch", ["batch", row.shape[1]])
    description = {"kind": "classifier", "input": INPUT, "labels": LABELS, "output": output}
    return _describe(path, ClassifierDescription.model_validate(description))


def write_colour_detector(path: Path) -> Path:
    """Write a detector of two anchors: the highest red is ``bare``, the highest green ``dressed``.

    Its third class, ``face``, is the highest blue and means nothing.
    """
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["highest"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["highest", "spread", "boxes"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "axis"], ["anchor"]),
        helper.make_node("Mul", ["anchor", "half"], ["weaker"]),
        helper.make_node("Concat", ["weaker", "anchor"], ["detections"], axis=2),
    ]
    spread = np.concatenate([np.zeros((3, 4)), np.eye(3)], axis=1).astype(np.float32)
    boxes = np.array([160, 160, 320, 320, 0, 0, 0], np.float32)
    constants = {"spread": spread, "boxes": boxes, "axis": np.array([2]), "half": _number(0.5)}
    _write_model(path, nodes, constants, "batch", ["batch", 7, 2])
    description = DetectorDescription(
        kind="detector",
        input=INPUT,
        classes=("bare", "dressed", "face"),
        explicit=("bare",),
        suggestive=("dressed",),
        explicit_logit=LogitLine(slope=12, midpoint=0.42),
        suggestive_logit=LogitLine(slope=6, midpoint=0.95),
    )
    return _describe(path, description)


def _number(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)


def _write_model(
    path: Path,
    nodes: list[Any],
    constants: dict[str, NDArray[Any]],
    batch: int | str,
    output_shape: Sequence[int | str],
) -> None:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [_tensor("images", [batch, 3, SIDE, SIDE])],
        [_tensor(nodes[-1].output[0], output_shape)],
        initializer=[numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    path.write_bytes(model.SerializeToString())


def _tensor(name: str, shape: Sequence[int | str]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _describe(path: Path, description: ClassifierDescription | DetectorDescription) -> Path:
    description_path(path).write_text(description.model_dump_json(), encoding="utf-8")
    return path
