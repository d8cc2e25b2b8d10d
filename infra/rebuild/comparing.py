"""Comparing two builds of a projection row by row, by digests of their rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from projections.declaration import Projection
from projections.ports import Sink

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found: rows looked at, and the keys of those that differ."""

    rows: int
    differing: frozenset[str]

    async def again(self, sink: Sink, one: Projection, other: Projection) -> Comparison:
        """Look again at what differed; where nothing did, a build's end may still have moved."""
        if not self.differing:
            return self
        return Comparison(self.rows, await _differing(sink, one, other, self.differing))

    def sentence(self, projection: Projection) -> str:
        """Say what differs."""
        shown = ", ".join(sorted(self.differing)[:_SHOWN])
        more = len(self.differing) - _SHOWN
        return (
            f"{projection.name} {projection.tag} differs from the live build in "
            f"{len(self.differing)} of {self.rows} rows: {shown}"
            + (f" and {more} more" if more > 0 else "")
        )


async def compare(sink: Sink, one: Projection, other: Projection, times: int = 1) -> Comparison:
    """Return what differs between two builds, the same rows looked at up to ``times`` times.

    Builds that follow the log are seldom at the same offset; what differs each time is likely to
    be wrong, what does not was only on its way.
    """
    first = await _digests(sink, one)
    second = await _digests(sink, other)
    found = Comparison(len(first), frozenset(_unlike(first, second)))
    for _ in range(times - 1):
        found = await found.again(sink, one, other)
    return found


async def _differing(
    sink: Sink, one: Projection, other: Projection, keys: Collection[str]
) -> frozenset[str]:
    first = await _digests(sink, one, keys)
    second = await _digests(sink, other, keys)
    return frozenset(_unlike(first, second))


async def _digests(
    sink: Sink, build: Projection, only: Collection[str] | None = None
) -> dict[str, str]:
    found: dict[str, str] = {}
    async for piece in sink.digests(build, only):
        found.update(piece)
    return found


def _unlike(first: dict[str, str], second: dict[str, str]) -> set[str]:
    return {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
