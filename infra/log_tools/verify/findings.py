"""What a verification finds wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from events.base import TopicPartition

#: Findings that are kept; more are only counted, so that memory stays bounded.
KEPT_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction: the rule that it breaks, where, and how.

    Rules are ``W3``, ``W4``, ``W5``, ``schema``, ``position`` and ``R2``.
    """

    rule: str
    source: TopicPartition
    offset: int | None
    message: str

    def line(self) -> str:
        """Return it as one line."""
        place = f"{self.source.topic}-{self.source.partition}"
        at = "" if self.offset is None else f"@{self.offset}"
        return f"{self.rule}  {place}{at}  {self.message}"


@dataclass(slots=True)
class Findings:
    """The first ``KEPT_MAX`` findings, and how many there are of each rule."""

    kept: list[Finding] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def add(self, rule: str, source: TopicPartition, offset: int | None, message: str) -> None:
        """Note a finding."""
        self.counted[rule] += 1
        if len(self.kept) < KEPT_MAX:
            self.kept.append(Finding(rule, source, offset, message))

    @property
    def total(self) -> int:
        """How many there are, those that were not kept included."""
        return self.counted.total()
