"""Every event that exists, by its stored name, and the upcasters of those that have aged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from events import comments, engagement, follows, moderation, outcomes, sessions, users, videos
from events.base import Event
from events.upcasting import Step, UpcasterChain, parse_stored_name

EVENT_TYPES: tuple[type[Event], ...] = (
    *users.EVENTS,
    *sessions.EVENTS,
    *videos.EVENTS,
    *engagement.EVENTS,
    *comments.EVENTS,
    *follows.EVENTS,
    *moderation.EVENTS,
    *outcomes.EVENTS,
)

UPCASTERS: Mapping[str, Step] = {}


__all__ = ["EVENT_TYPES", "REGISTRY", "UPCASTERS", "EventRegistry", "parse_stored_name"]


class EventRegistry:
    """Finds the class of a stored name, and lifts old bodies to what they have become."""

    def __init__(self, types: Iterable[type[Event]], upcasters: Mapping[str, Step]) -> None:
        self._types = tuple({event_type.name: event_type for event_type in types}.values())
        self._chain = UpcasterChain(upcasters)
        self._current = {t.stored_name(): t for t in self._types}

    def current(self, stored_name: str) -> type[Event] | None:
        """Return the class whose current version this is, or None for an old or unknown name."""
        return self._current.get(stored_name)

    def lift(
        self, stored_name: str, data: dict[str, Any]
    ) -> list[tuple[type[Event], dict[str, Any]]]:
        """Return what a body is today: classes and bodies of their current versions, in order.

        One record is one event, unless the event was split since: then it is several, or none.

        Raises:
            UnknownEventType: no event has that name, or had it in that version.
            UndecodableRecord: the body cannot be lifted.
        """
        parse_stored_name(stored_name)
        lifted = self._chain.lift(stored_name, data, self._current.__contains__)
        return [(self._current[name], body) for name, body in lifted]

    def stored_names(self, types: Iterable[type[Event]]) -> frozenset[str]:
        """Return every stored name, former ones included, whose records may hold these events."""
        names = frozenset(event_type.stored_name() for event_type in types)
        return self._chain.ancestors(names)

    def types(self) -> tuple[type[Event], ...]:
        """Return every event class."""
        return self._types


REGISTRY = EventRegistry(EVENT_TYPES, UPCASTERS)
