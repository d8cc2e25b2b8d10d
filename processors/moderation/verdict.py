"""What scores mean: labels, thresholds and the action that follows from a score."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# float32, in which the models compute, carries seven digits. Scores are rounded below that, or a
# score of 0.9 would come out as 0.90000004 and count as above a threshold of 0.9.
SCORE_DECIMALS = 6


class Label(StrEnum):
    """The three things that a picture can be."""

    SAFE = "safe"
    EXPLICIT = "explicit"
    SUGGESTIVE = "suggestive"


class Action(StrEnum):
    """What is to happen with content."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class FrameScore:
    """The probabilities of the three labels for one picture; they add up to one."""

    safe: float
    explicit: float
    suggestive: float

    @property
    def nsfw_score(self) -> float:
        """Return p(explicit) + p(suggestive), 0..1."""
        return rounded(self.explicit + self.suggestive)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A score must be *above* a threshold to count; one that equals it does not."""

    block: float = 0.9
    review: float = 0.7

    def __post_init__(self) -> None:
        """Raise ValueError unless 0 <= review <= block <= 1."""
        if not 0 <= self.review <= self.block <= 1:
            raise ValueError(f"thresholds out of order: review {self.review}, block {self.block}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A score, whether a person or a rule must look at it, and what to do."""

    nsfw_score: float
    flagged: bool
    action: Action


def decide(nsfw_score: float, thresholds: Thresholds = Thresholds()) -> Verdict:
    """Return what follows from a picture's or a film's score."""
    if nsfw_score > thresholds.block:
        return Verdict(nsfw_score, flagged=True, action=Action.BLOCK)
    if nsfw_score > thresholds.review:
        return Verdict(nsfw_score, flagged=True, action=Action.REVIEW)
    return Verdict(nsfw_score, flagged=False, action=Action.ALLOW)


def should_hide(toxicity: float, threshold: float = 0.8) -> bool:
    """Tell whether a text is hidden without asking anybody: its score is above the threshold."""
    return toxicity > threshold


def rounded(score: float) -> float:
    """Return a model's score without the digits that float32 makes up."""
    return round(float(score), SCORE_DECIMALS)
