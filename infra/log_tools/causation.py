"""What followed from a request: its commands, their events, and the commands that followed.

Everything that follows from a request carries its correlation id; a command of a reaction names
the event that it follows from, an event its command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from events import clock
from events.codec import LogRecord
from infra.log_tools.reader import LogReader
from infra.log_tools.searching import Bounds, born, search
from infra.log_tools.selection import Selection
from schemas.catalogue import DOMAINS

#: Records of one graph at most, and seconds spent on each of its two searches.
BOUNDS = Bounds(500, 8.0)
#: An id that does not tell its time is looked for in so much of the log.
LOOK_BACK = timedelta(days=7)
#: How long before a reaction's command the request may have come.
_BEFORE = timedelta(hours=6)
_TOPICS = tuple(topic for domain in DOMAINS for topic in (domain.commands, domain.events))


@dataclass(slots=True)
class Node:
    """A command or an event, and what followed from it; ``kind`` says which of the two.

    A command whose record is past its retention is known from its events alone: it has no record.
    """

    kind: str
    id: str
    cause: str
    type: str
    record: LogRecord | None
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Graph:
    """What followed from a request; ``is_whole`` is false when the search ended at a bound."""

    correlation_id: str
    roots: list[Node]
    is_whole: bool

    def nodes(self) -> Iterator[Node]:
        """Yield every node."""
        waiting = [*self.roots]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children


def text_of(record: LogRecord, header: str) -> str:
    """Return a header, "" where it is missing."""
    return record.headers.get(header, b"").decode("utf-8", "replace")


def trace(reader: LogReader, name: str, since: datetime | None = None) -> Graph | None:
    """Return the graph that a correlation, command or event id is part of; None when none is.

    ``since`` is a time before which nothing of it can have come, where the caller knows one.

    Raises:
        Unavailable, TopicMissing, LogUnreadable.
    """
    wanted = name.encode()
    headers = ("correlation_id", "command_id", "ce_id", "causation_id")

    def names(record: LogRecord) -> bool:
        return any(record.headers.get(header) == wanted for header in headers)

    begins = since or born(name) or clock.now() - LOOK_BACK
    first = search(reader, Selection(_TOPICS, since=begins), names, Bounds(1, BOUNDS.budget_s))
    if not first.found:
        return None
    correlation_id = text_of(first.found[0], "correlation_id")
    if correlation_id != name:
        begins = born(correlation_id) or begins - _BEFORE
    mark = correlation_id.encode()

    def follows(record: LogRecord) -> bool:
        return record.headers.get("correlation_id") == mark

    whole = search(reader, Selection(_TOPICS, since=begins), follows, BOUNDS)
    return Graph(correlation_id, grow(whole.found), not whole.cursor)


def grow(records: Iterable[LogRecord]) -> list[Node]:
    """Return commands and events as trees; a node whose cause is not among them is a root."""
    nodes: dict[str, Node] = {}
    for record in records:
        node = _node(record)
        # A command that is sent twice is one command.
        nodes.setdefault(node.id, node)
    for node in [*nodes.values()]:
        if node.kind == "event" and node.cause not in nodes:
            nodes[node.cause] = Node("command", node.cause, "", "", None)
    roots: list[Node] = []
    for node in nodes.values():
        cause = nodes.get(node.cause) if node.cause != node.id else None
        (roots if cause is None else cause.children).append(node)
    return roots


def _node(record: LogRecord) -> Node:
    if "ce_type" in record.headers:
        cause = text_of(record, "command_id")
        return Node("event", text_of(record, "ce_id"), cause, text_of(record, "ce_type"), record)
    command_id = text_of(record, "command_id")
    cause = text_of(record, "causation_id")
    return Node("command", command_id, cause, text_of(record, "command_type"), record)
