from __future__ import annotations

import pytest

from processors.moderation.verdict import (
    Action,
    FrameScore,
    Thresholds,
    Verdict,
    decide,
    should_hide,
)


@pytest.mark.parametrize(
    ("score", "flagged", "action"),
    [
        (0.0, False, Action.ALLOW),
        (0.7, False, Action.ALLOW),
        (0.700001, True, Action.REVIEW),
        (0.9, True, Action.REVIEW),
        (0.900001, True, Action.BLOCK),
        (1.0, True, Action.BLOCK),
    ],
)
def test_a_score_counts_only_above_a_threshold(score: float, flagged: bool, action: Action) -> None:
    assert decide(score) == Verdict(score, flagged, action)


def test_thresholds_can_be_chosen() -> None:
    strict = Thresholds(block=0.5, review=0.2)
    assert decide(0.6, strict).action is Action.BLOCK
    assert decide(0.3, strict).action is Action.REVIEW


@pytest.mark.parametrize(("block", "review"), [(0.5, 0.6), (1.1, 0.7), (0.9, -0.1)])
def test_thresholds_out_of_order_are_refused(block: float, review: float) -> None:
    with pytest.raises(ValueError, match="out of order"):
        Thresholds(block=block, review=review)


def test_the_score_is_the_sum_of_explicit_and_suggestive() -> None:
    assert FrameScore(safe=0.7, explicit=0.1, suggestive=0.2).nsfw_score == 0.3


def test_a_text_is_hidden_only_above_the_threshold() -> None:
    assert not should_hide(0.8)
    assert should_hide(0.800001)
    assert should_hide(0.6, threshold=0.5)
