"""Lifting old versions of events when they are read; the log itself is never rewritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Takes the JSON body of version N and returns the body of version N + 1.
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class UpcasterChain:
    """The upcasters of all events, keyed by the stored name that they lift *from*."""

    def __init__(self, upcasters: Mapping[str, Upcaster]) -> None:
        self._upcasters = dict(upcasters)

    def lift(self, name: str, version: int, target: int, data: dict[str, Any]) -> dict[str, Any]:
        """Return the body in version ``target`` of the event ``name``.

        Raises:
            KeyError: a step of the chain is missing.
        """
        for step in range(version, target):
            data = self._upcasters[f"{name}.v{step}"](data)
        return data

    def sources(self) -> frozenset[str]:
        """Return the stored names that can be lifted."""
        return frozenset(self._upcasters)
