from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profanity_check import predict_prob  # type: ignore[import-untyped]

from infra.model_files import ModelFiles
from infra.models import CHECKED_SENTENCES
from processors.moderation.description import description_path
from processors.moderation.errors import InvalidModel
from processors.moderation.text import TextModerator, windows
from processors.moderation.verdict import should_hide

TOXIC = (
    "You are a worthless piece of shit",
    "fuck off and die you idiot",
    "shut up you stupid bitch",
    "what an asshole, go to hell",
    "IDIOT! MORON! DUMB FUCK!",
)
BENIGN = (
    "Great video, thank you for explaining the chain rule so clearly.",
    "At 2:35 the sound drops for a moment, could you fix it?",
    "I watched this with my grandmother and we both loved it.",
    "Does anybody know which camera was used here?",
    "The weather in Lisbon looks lovely this time of year 😀",
)


def test_toxic_texts_are_hidden_and_benign_ones_are_not(text_moderator: TextModerator) -> None:
    assert all(should_hide(score) for score in text_moderator.score(TOXIC))
    assert all(score < 0.3 for score in text_moderator.score(BENIGN))


def test_probabilities_are_those_of_scikit_learn(text_moderator: TextModerator) -> None:
    texts = [*CHECKED_SENTENCES, *TOXIC, *BENIGN]
    np.testing.assert_allclose(text_moderator.score(texts), predict_prob(texts), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(max_size=200), min_size=1, max_size=8))
def test_any_text_is_scored_as_scikit_learn_does(
    text_moderator: TextModerator, texts: list[str]
) -> None:
    np.testing.assert_allclose(text_moderator.score(texts), predict_prob(texts), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_known_words_in_any_order_are_scored_as_scikit_learn_does(
    text_moderator: TextModerator, model_files: ModelFiles, data: st.DataObject
) -> None:
    words = json.loads(description_path(model_files.text_classifier).read_text())["words"]
    text = " ".join(data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=40)))
    assert text_moderator.score([text])[0] == pytest.approx(predict_prob([text])[0], abs=1e-5)


def test_a_batch_scores_as_its_members_do(text_moderator: TextModerator) -> None:
    texts = [*TOXIC, "", *BENIGN] * 15
    alone = [text_moderator.score([text])[0] for text in texts]
    assert text_moderator.score(texts) == pytest.approx(alone, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(text=st.text(st.characters(codec="ascii"), max_size=60))
def test_plain_english_is_cut_as_the_pattern_cuts_it(
    text_moderator: TextModerator, text: str
) -> None:
    """The curly quote before it has the pattern itself searched for."""
    text = f"{text} idiot\tMORON_1 shit,shit x"
    assert text_moderator.score([text])[0] == text_moderator.score([f"\u2019 {text}"])[0]


@pytest.mark.parametrize(("pattern", "word"), [(r"\S+", "sh*t!"), (r"(?u)\b\w\w+\b", "x")])
def test_words_are_cut_by_the_descriptions_own_pattern(
    tmp_path: Path, model_files: ModelFiles, pattern: str, word: str
) -> None:
    """A known word that the pattern finds counts; one that it never finds does not."""
    described = json.loads(description_path(model_files.text_classifier).read_text())
    path = tmp_path / "own.onnx"
    path.write_bytes(model_files.text_classifier.read_bytes())
    words = [word if known == "idiot" else known for known in described["words"]]
    description_path(path).write_text(
        json.dumps(described | {"token_pattern": pattern, "words": words})
    )
    moderator = TextModerator(path)
    [found, nothing] = moderator.score([f"{word} {word}", ""])
    assert (found > nothing) == (pattern == r"\S+")


def test_nothing_has_no_scores(text_moderator: TextModerator) -> None:
    assert text_moderator.score([]) == []


@pytest.mark.parametrize("text", ["", " \n\t", "a", "!!!", "🙂🙃", "日本語", "\ud800 \x00"])
def test_texts_without_known_words_are_not_hidden(text_moderator: TextModerator, text: str) -> None:
    assert text_moderator.score([text])[0] < 0.1


def test_an_insult_does_not_hide_in_a_long_text(text_moderator: TextModerator) -> None:
    benign = " ".join(BENIGN) + " "
    long_text = benign * 40
    insults = " ".join(TOXIC) + " "
    assert not should_hide(text_moderator.score([long_text])[0])
    hidden = long_text + insults * 12 + long_text
    assert should_hide(text_moderator.score([hidden])[0])


def test_a_very_long_text_is_scored_between_others(text_moderator: TextModerator) -> None:
    texts = [TOXIC[0], "lovely video " * 80_000, BENIGN[0]]
    scores = text_moderator.score(texts)
    assert should_hide(scores[0])
    assert scores[1] < 0.5
    assert scores[2] == text_moderator.score([BENIGN[0]])[0]


@given(st.text(alphabet="ab \n", max_size=300), st.integers(1, 40))
def test_windows_are_the_text_in_pieces(text: str, limit: int) -> None:
    pieces = list(windows(text, limit))
    assert "".join(pieces) == text
    assert all(len(piece) <= limit for piece in pieces)


def test_windows_cut_at_white_space() -> None:
    assert list(windows("one two three four", 9)) == ["one two", " three", " four"]
    assert list(windows("short", 9)) == ["short"]
    assert list(windows("abcdefghij", 4)) == ["abcd", "efgh", "ij"]


def test_unusable_models_are_refused(tmp_path: Path, model_files: ModelFiles) -> None:
    with pytest.raises(InvalidModel, match="no usable description"):
        TextModerator(tmp_path / "absent.onnx")
    path = tmp_path / "damaged.onnx"
    path.write_bytes(b"no model")
    description = description_path(model_files.text_classifier).read_bytes()
    description_path(path).write_bytes(description)
    with pytest.raises(InvalidModel, match="cannot load"):
        TextModerator(path)
    description_path(path).write_text('{"kind": "words"}')
    with pytest.raises(InvalidModel, match="no usable description"):
        TextModerator(path)
