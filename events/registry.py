"""Every event that exists, by its stored name, and the upcasters of those that have aged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from events import comments, engagement, follows, moderation, outcomes, sessions, users, videos
from events.base import Event
from events.errors import UnknownEventType
from events.upcasting import Upcaster, UpcasterChain

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

UPCASTERS: Mapping[str, Upcaster] = {}


def parse_stored_name(stored_name: str) -> tuple[str, int]:
    """Return name and version of a stored name such as ``video.liked.v1``.

    Raises:
        UnknownEventType: it is not of that form.
    """
    name, separator, version = stored_name.rpartition(".v")
    if not separator or not version.isdecimal():
        raise UnknownEventType(f"'{stored_name}' is not a stored event name")
    return name, int(version)


class EventRegistry:
    """Finds the class of a stored name, and lifts old bodies to it."""

    def __init__(self, types: Iterable[type[Event]], upcasters: Mapping[str, Upcaster]) -> None:
        self._types = {event_type.name: event_type for event_type in types}
        self._chain = UpcasterChain(upcasters)
        self._current = {t.stored_name(): t for t in self._types.values()}

    def current(self, stored_name: str) -> type[Event] | None:
        """Return the class whose current version this is, or None for an old or unknown name."""
        return self._current.get(stored_name)

    def lift(self, stored_name: str, data: dict[str, Any]) -> tuple[type[Event], dict[str, Any]]:
        """Return the class of a stored name and the body lifted to its current version.

        Raises:
            UnknownEventType: no event has that name, or not in that version.
            UndecodableRecord: the body cannot be lifted.
        """
        name, version = parse_stored_name(stored_name)
        event_type = self._types.get(name)
        if event_type is None or not 1 <= version <= event_type.version:
            raise UnknownEventType(f"no event is registered as '{stored_name}'")
        return event_type, self._chain.lift(name, version, event_type.version, data)

    def types(self) -> tuple[type[Event], ...]:
        """Return every event class."""
        return tuple(self._types.values())


REGISTRY = EventRegistry(EVENT_TYPES, UPCASTERS)
