"""Texts to the probability that they are offensive.

Words are cut and counted here, because the tokenizer of ONNX depends on the locales that happen to
be installed and cuts words differently; everything after the counts (weights by rarity, length
norm, the calibrated linear models) is the ONNX model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from processors.moderation.description import load_text_description
from processors.moderation.session import OnnxSession
from processors.moderation.verdict import rounded

PADDING = 0

_Counts = Counter[int]


class TextModerator:
    """Scores texts with the model at a path, whose word list lies beside it as JSON.

    A text of up to ``window_characters`` is scored as a whole, exactly as the model was trained
    to. A longer one is cut at white space into windows, each is scored, and the highest counts: so
    that an insult cannot hide in a long text and memory stays bounded. Disguised spellings are not
    undone. A text without a known word gets the model's own starting point, which is low. Raises
    InvalidModel when the model is unusable.
    """

    def __init__(
        self,
        model_path: Path,
        threads: int = 1,
        batch_size: int = 64,
        window_characters: int = 5000,
    ) -> None:
        description = load_text_description(model_path)
        self._session = OnnxSession(model_path, threads)
        self._find_tokens = re.compile(description.token_pattern).findall
        self._numbers = {word: index + 1 for index, word in enumerate(description.words)}
        self._batch_size = batch_size
        self._window_characters = window_characters
        self.score([""])

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the probability, 0..1, that each text is offensive, in their order."""
        owners: list[int] = []
        counts: list[_Counts] = []
        highest = np.zeros(len(texts))
        for owner, text in enumerate(texts):
            for window in windows(text, self._window_characters):
                owners.append(owner)
                counts.append(self._count(window))
                if len(counts) == self._batch_size:
                    self._raise_to_scores(highest, owners, counts)
        self._raise_to_scores(highest, owners, counts)
        return [rounded(score) for score in highest]

    def _raise_to_scores(
        self, highest: NDArray[np.float64], owners: list[int], counts: list[_Counts]
    ) -> None:
        """Score what waits, lift each owner's highest score, and empty both lists."""
        if counts:
            np.maximum.at(highest, owners, self._infer(counts))
        owners.clear()
        counts.clear()

    def _count(self, text: str) -> _Counts:
        """Return how often each known word occurs."""
        counts = Counter(map(self._numbers.get, self._find_tokens(text.lower())))
        counts.pop(None, None)
        return cast("_Counts", counts)

    def _infer(self, counts: Sequence[_Counts]) -> NDArray[np.float32]:
        lengths = np.array([len(words) for words in counts])
        known = np.arange(max(1, lengths.max())) < lengths[:, None]
        tokens = np.full(known.shape, PADDING, np.int64)
        tokens[known] = np.fromiter(chain.from_iterable(counts), np.int64)
        frequencies = np.zeros(known.shape, np.float32)
        every_count = chain.from_iterable(words.values() for words in counts)
        frequencies[known] = np.fromiter(every_count, np.float32)
        return self._session.run({"tokens": tokens, "counts": frequencies})[0]


def windows(text: str, characters_max: int) -> Iterator[str]:
    """Cut a text at white space into pieces that are no longer than a limit.

    A piece without white space is cut where the limit falls. A short text comes back whole.
    """
    start = 0
    while len(text) - start > characters_max:
        end = start + characters_max
        blank = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
        end = blank if blank > start else end
        yield text[start:end]
        start = end
    yield text[start:]
