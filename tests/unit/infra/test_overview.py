"""What the console makes of the builds that are noted."""

from __future__ import annotations

from datetime import UTC, datetime

from infra.console.overview import Build, in_the_making
from infra.postgres.builds import BuildRecord, BuildState


def build(version: int, number: int, state: BuildState) -> Build:
    record = BuildRecord("followers", version, number, state, datetime.now(UTC), None)
    return Build(f"v{version}b{number}", record)


def test_of_two_builds_in_the_making_the_newest_counts() -> None:
    """One of a former version stays when another version is begun before it was cancelled."""
    live = build(1, 0, BuildState.LIVE)
    left, begun = build(1, 1, BuildState.BUILDING), build(2, 0, BuildState.BUILDING)
    assert in_the_making([live, left, begun]) == begun
    assert in_the_making([live]) is None
