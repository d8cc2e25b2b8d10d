"""Where a contestant works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """The log, a database of its own, and a name that no other run has."""

    kafka: str
    postgres: str
    run: str
