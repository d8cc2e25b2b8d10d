"""ONNX Runtime behind one small typed class, and the only module that imports it.

A worker shares its machine with others, so a session takes the threads that it is given and its
threads sleep while they wait. Memory is kept small by small batches: measured with the default
image model, switching the arena off saves nothing (100 MiB with it, 104 MiB without), while a
batch of eight frames costs 90 MiB more than one frame and is not faster on a processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from processors.moderation.errors import InvalidModel

ERRORS_ONLY = 3


@dataclass(frozen=True, slots=True)
class Tensor:
    """The name and shape of an input or output; None is a length that may vary."""

    name: str
    shape: tuple[int | None, ...]


class OnnxSession:
    """One loaded model. Safe to call from several threads at once.

    Raises InvalidModel when the file is absent or is no model.
    """

    def __init__(self, model_path: Path, threads: int = 1) -> None:
        try:
            self._session = onnxruntime.InferenceSession(
                str(model_path), _options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # The runtime's own classes share no base but Exception.
            raise InvalidModel(f"cannot load the model {model_path}: {error}") from error
        self.inputs = tuple(_tensor(node) for node in self._session.get_inputs())
        self.outputs = tuple(_tensor(node) for node in self._session.get_outputs())

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the outputs in the model's order; InvalidModel when it refuses the inputs."""
        try:
            outputs: list[NDArray[np.float32]] = self._session.run(None, dict(feeds))
        except Exception as error:
            raise InvalidModel(f"the model refuses its input: {error}") from error
        return outputs


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _tensor(node: Any) -> Tensor:
    lengths = (length if isinstance(length, int) else None for length in node.shape)
    return Tensor(node.name, tuple(lengths))
