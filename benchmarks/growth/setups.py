"""What is measured: a base, and what differs from it in one respect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, order=True)
class Setup:
    """A log and how many processes build a read model from it."""

    partitions: int
    videos: int
    events: int
    processes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The base, and by the name of a respect the sizes that it is measured at, in order."""

    base: Setup
    sizes: Mapping[str, Sequence[int]]

    def along(self, respect: str) -> list[Setup]:
        """Return the setups that differ from the base in one respect only."""
        return [replace(self.base, **{respect: size}) for size in self.sizes[respect]]

    def setups(self) -> list[Setup]:
        """Return all, each once; those of one log stand together, the shorter log first."""
        return sorted({setup for respect in self.sizes for setup in self.along(respect)})


FULL = Plan(
    base=Setup(partitions=4, videos=1_000, events=1_000_000, processes=1),
    sizes={
        "events": (100_000, 1_000_000, 10_000_000),
        "videos": (1_000, 10_000, 100_000, 1_000_000),
        "partitions": (1, 4, 16),
        "processes": (1, 2, 4),
    },
)
QUICK = Plan(
    base=replace(FULL.base, events=100_000),
    sizes={**FULL.sizes, "events": (20_000, 100_000), "videos": (1_000, 10_000)},
)
