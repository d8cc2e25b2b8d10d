"""Which models are used."""

from __future__ import annotations

from infra.model_files import ModelFiles
from infra.settings import Settings


def model_files(settings: Settings) -> ModelFiles:
    """Return the models that the settings name, or the prepared defaults."""
    prepared = ModelFiles.in_folder(settings.cache_dir / "models")
    return ModelFiles(
        settings.image_model if settings.image_model.name else prepared.image_detector,
        settings.text_model if settings.text_model.name else prepared.text_classifier,
    )
