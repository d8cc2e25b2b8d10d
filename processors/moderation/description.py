"""The JSON file beside a model: what goes into the model and what its outputs mean.

``image.onnx`` is described by ``image.json`` in the same folder. Two kinds of image model are
understood, so that a better model is a matter of two files:

- ``detector``: finds parts of bodies; its output is [batch, 4 + classes, anchors] as YOLOv8
  exports it (four box numbers, then one confidence per class).
- ``classifier``: gives the three labels directly; its output is [batch, 3].
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from processors.moderation.errors import InvalidModel
from processors.moderation.verdict import Label

Channels = tuple[float, float, float]


class ImageInput(BaseModel):
    """How a picture becomes the model's input, float32 of [batch, 3, height, width].

    ``letterbox`` adds black at the right or the bottom until the picture is square and then
    scales it; ``stretch`` scales each side by itself. A value is (pixel/255 - mean) / deviation,
    a mean and a deviation per channel in the order of ``channels``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)
    resize: Literal["letterbox", "stretch"] = "letterbox"
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: Channels = (0.0, 0.0, 0.0)
    deviation: Channels = (1.0, 1.0, 1.0)


class LogitLine(BaseModel):
    """A confidence c (0..1) becomes the logit slope * (c - midpoint); it rises with c."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(gt=0)
    midpoint: float


class DetectorDescription(BaseModel):
    """A detector's classes in the order of its output, and which of them mean what.

    Classes that are in neither list (faces, feet) say nothing about a picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["detector"]
    input: ImageInput
    classes: tuple[str, ...] = Field(min_length=1)
    explicit: tuple[str, ...] = Field(min_length=1)
    suggestive: tuple[str, ...] = Field(min_length=1)
    explicit_logit: LogitLine
    suggestive_logit: LogitLine

    @model_validator(mode="after")
    def _meanings_name_classes(self) -> DetectorDescription:
        unknown = {*self.explicit, *self.suggestive} - set(self.classes)
        if unknown:
            raise ValueError(f"not among the classes: {sorted(unknown)}")
        return self


class ClassifierDescription(BaseModel):
    """A classifier's labels in the order of its output, which is softmaxed already or is not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["classifier"]
    input: ImageInput
    labels: tuple[Label, Label, Label]
    output: Literal["probabilities", "logits"] = "probabilities"

    @model_validator(mode="after")
    def _labels_differ(self) -> ClassifierDescription:
        if len(set(self.labels)) != len(Label):
            raise ValueError("each of the three labels must be named once")
        return self


ImageDescription = Annotated[
    DetectorDescription | ClassifierDescription, Field(discriminator="kind")
]
_IMAGE: TypeAdapter[DetectorDescription | ClassifierDescription] = TypeAdapter(ImageDescription)


class TextDescription(BaseModel):
    """The words that a text model knows; a word's number is its place in ``words`` plus one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["words"]
    token_pattern: str
    words: tuple[str, ...] = Field(min_length=1)


def description_path(model_path: Path) -> Path:
    """Return where the description of a model lies."""
    return model_path.with_suffix(".json")


def load_image_description(model_path: Path) -> DetectorDescription | ClassifierDescription:
    """Return what is written beside an image model; InvalidModel when it is absent or wrong."""
    try:
        return _IMAGE.validate_json(description_path(model_path).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidModel(f"no usable description of {model_path}: {error}") from error


def load_text_description(model_path: Path) -> TextDescription:
    """Return what is written beside a text model; InvalidModel when it is absent or wrong."""
    try:
        return TextDescription.model_validate_json(description_path(model_path).read_bytes())
    except (OSError, ValidationError) as error:
        raise InvalidModel(f"no usable description of {model_path}: {error}") from error
