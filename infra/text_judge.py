"""The text model as the command endpoints see it."""

from __future__ import annotations

import asyncio
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processors.moderation.text import TextModerator


class ModelTextJudge:
    """Implements ``commands.services.TextJudge``; the model is loaded at the first question."""

    def __init__(self, model: Path) -> None:
        self._model = model

    @cached_property
    def _moderator(self) -> TextModerator:
        from processors.moderation.text import TextModerator

        return TextModerator(self._model)

    async def score(self, text: str) -> float:
        [score] = await asyncio.to_thread(lambda: self._moderator.score([text]))
        return round(score, 6)
