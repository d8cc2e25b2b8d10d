"""Which aggregate decides which command and folds which event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from commands.aggregate import Aggregate
from commands.comments import COMMENT, COMMENT_LIKE, COMMENT_REPORT
from commands.engagement import BEATS, LIKE, SHARES, VIEWS
from commands.follows import FOLLOW
from commands.moderation import MODERATION_CASE
from commands.sessions import SESSION
from commands.users import USER
from commands.videos import VIDEO
from events.base import Command, Event

AGGREGATES: tuple[Aggregate[Any], ...] = (
    USER,
    SESSION,
    VIDEO,
    LIKE,
    SHARES,
    VIEWS,
    BEATS,
    COMMENT,
    COMMENT_LIKE,
    COMMENT_REPORT,
    FOLLOW,
    MODERATION_CASE,
)


class Router:
    """The table above, read in both directions."""

    def __init__(self, aggregates: Iterable[Aggregate[Any]]) -> None:
        known = tuple(aggregates)
        self._by_command = {command: a for a in known for command in a.commands}
        self._by_event = {event: a for a in known for event in a.events}
        self.command_types = {command.stored_name(): command for command in self._by_command}

    def for_command(self, command: Command) -> Aggregate[Any]:
        return self._by_command[type(command)]

    def for_event(self, event: Event) -> Aggregate[Any]:
        return self._by_event[type(event)]


ROUTER = Router(AGGREGATES)
