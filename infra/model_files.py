"""Where the prepared models lie; importing this loads no model library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from processors.moderation.description import description_path

IMAGE_MODEL = "image_detector.onnx"
TEXT_MODEL = "text_toxicity.onnx"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The prepared models; the description of each lies beside it."""

    image_detector: Path
    text_classifier: Path

    @classmethod
    def in_folder(cls, folder: Path) -> ModelFiles:
        """Return where the prepared models of a folder lie."""
        return cls(folder / IMAGE_MODEL, folder / TEXT_MODEL)

    def all(self) -> tuple[Path, ...]:
        """Return every file, descriptions included."""
        models = (self.image_detector, self.text_classifier)
        return (*models, *map(description_path, models))
