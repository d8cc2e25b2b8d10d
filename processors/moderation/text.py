"""Texts to the probability that they are offensive.

Words are cut and counted here, because the tokenizer of ONNX depends on the locales that happen to
be installed and cuts words differently; everything after the counts (weights by rarity, length
norm, the calibrated linear models) is the ONNX model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from processors.moderation.description import load_text_description
from processors.moderation.session import OnnxSession
from processors.moderation.verdict import rounded

#: Fills a row up, and stands for words that the model does not know: it weighs nothing.
PADDING = 0

#: scikit-learn's own pattern: two word characters at least.
COMMON_PATTERN = r"(?u)\b\w\w+\b"
_WORD_OR_BLANK = bytes(
    code if chr(code).isalnum() or code == ord("_") else ord(" ") for code in range(128)
).ljust(256)

_Cut = Callable[[str], list[bytes]]


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
        self._cut = _cutter(description.token_pattern, description.words)
        words = enumerate(map(_encoded, description.words), PADDING + 1)
        self._numbers = {word: number for number, word in words}
        self._batch_size = batch_size
        self._window_characters = window_characters
        self.score([""])

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the probability, 0..1, that each text is offensive, in their order."""
        owners: list[int] = []
        waiting: list[list[bytes]] = []
        highest = np.zeros(len(texts))
        for owner, text in enumerate(texts):
            for window in windows(text, self._window_characters):
                owners.append(owner)
                waiting.append(self._cut(window.lower()))
                if len(waiting) == self._batch_size:
                    self._raise_to_scores(highest, owners, waiting)
        self._raise_to_scores(highest, owners, waiting)
        return [rounded(score) for score in highest.tolist()]

    def _raise_to_scores(
        self, highest: NDArray[np.float64], owners: list[int], waiting: list[list[bytes]]
    ) -> None:
        """Score what waits, lift each owner's highest score, and empty both lists."""
        if waiting:
            tokens = self._tokens(waiting)
            [scores] = self._session.run({"tokens": tokens, "counts": _counts(tokens)})
            np.maximum.at(highest, owners, scores)
        owners.clear()
        waiting.clear()

    def _tokens(self, texts: Sequence[list[bytes]]) -> NDArray[np.int64]:
        """Return a row of tokens for each text, like beside like, the padding last."""
        lengths = np.fromiter(map(len, texts), np.intp, len(texts))
        tokens = np.full((len(texts), max(1, lengths.max())), PADDING, np.int64)
        numbers = map(self._numbers.get, chain.from_iterable(texts), repeat(PADDING))
        used = np.arange(tokens.shape[1]) < lengths[:, None]
        tokens[used] = np.fromiter(numbers, np.int64, lengths.sum())
        tokens.sort(axis=1)
        return np.ascontiguousarray(tokens[:, ::-1])


def _counts(tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how often a token occurs in its sorted row, at its first place; elsewhere nothing."""
    first = np.ones(tokens.shape, np.bool_)
    np.not_equal(tokens[:, 1:], tokens[:, :-1], out=first[:, 1:])
    starts = np.flatnonzero(first)
    counts = np.zeros(tokens.shape, np.float32)
    counts.flat[starts] = np.diff(starts, append=tokens.size)
    return counts


def _cutter(pattern: str, words: Sequence[str]) -> _Cut:
    """Return what cuts a text, in small letters, into what the pattern finds.

    The common pattern is not searched for in plain English: there, blanks in place of all that is
    no word character do the same in a quarter of the time. They leave single letters too, which
    are no matter as long as no known word is one.
    """
    find = re.compile(pattern).findall

    def searched(text: str) -> list[bytes]:
        return list(map(_encoded, find(text)))

    if pattern != COMMON_PATTERN or min(map(len, words)) == 1:
        return searched
    return lambda text: _ascii_words(text) if text.isascii() else searched(text)


def _ascii_words(text: str) -> list[bytes]:
    return text.encode().translate(_WORD_OR_BLANK).split()


def _encoded(word: str) -> bytes:
    return word.encode(errors="surrogatepass")


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
