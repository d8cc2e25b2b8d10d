"""Lifting old versions of events when they are read; the log itself is never rewritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from events.errors import UndecodableRecord, UnknownEventType

#: Takes the JSON body of version N and returns the body of version N + 1.
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class UpcasterChain:
    """The upcasters of all events, keyed by the stored name that they lift *from*."""

    def __init__(self, upcasters: Mapping[str, Upcaster]) -> None:
        self._upcasters = dict(upcasters)

    def lift(self, name: str, version: int, target: int, data: dict[str, Any]) -> dict[str, Any]:
        """Return the body in version ``target`` of the event ``name``.

        Raises:
            UnknownEventType: a step of the chain is missing.
            UndecodableRecord: a step cannot digest the body.
        """
        for step in range(version, target):
            stored_name = f"{name}.v{step}"
            upcaster = self._upcasters.get(stored_name)
            if upcaster is None:
                raise UnknownEventType(f"no upcaster lifts '{stored_name}'")
            try:
                data = upcaster(data)
            except Exception as error:
                raise UndecodableRecord(f"'{stored_name}' cannot be lifted: {error!r}") from error
        return data

    def sources(self) -> frozenset[str]:
        """Return the stored names that can be lifted."""
        return frozenset(self._upcasters)
