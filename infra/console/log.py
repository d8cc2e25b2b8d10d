"""The pages of the log: an aggregate's events, one event, what followed from a request; topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from events.base import TopicPartition
from events.errors import NotFound
from infra.console.parts import ConsoleParts, Parts
from infra.console.rendering import ROOT, page
from infra.console.session import AnAdmin, FromHere
from infra.http.catalogue_page import REACTIONS
from infra.kafka.topic_facts import topic_facts
from infra.log_tools.causation import Graph, Node, text_of, trace
from infra.log_tools.keys import NoKeys, stored_keys
from infra.log_tools.names import NAMES
from infra.log_tools.reader import LogReader
from infra.log_tools.searching import Bounds, Search, born, record_at, search, speaks_of
from infra.log_tools.selection import Selection, choose_topics
from infra.log_tools.showing import facts, shown
from infra.places import Places
from infra.postgres.sink import store_errors
from projections.registry import PROJECTIONS
from schemas.catalogue import DOMAINS

log = structlog.get_logger(__name__)

router = APIRouter()

PAGE_EVENTS = 50
_ID_CHARACTERS = 200
_OUTCOMES = (
    "SELECT command_id::text AS id, command_type, event_count, refusal->>'code' AS refusal "
    "FROM command_log WHERE command_id = ANY($1::uuid[])"
)


@router.get("/log")
async def start(admin: AnAdmin) -> Response:
    """Show what can be looked for."""
    return page("log.html", {"admin": admin.id, "section": "log", "domains": DOMAINS})


@router.get("/log/timeline")
async def timeline(
    parts: Parts,
    admin: AnAdmin,
    domain: str = "",
    about: Annotated[str, Query(alias="id")] = "",
    at: str = "",
) -> Response:
    """Show the events of an aggregate, in order."""
    name = about.strip()[:_ID_CHARACTERS]
    topics = choose_topics(domains=[domain])
    found = Search()
    if name:
        since = born(name.partition("-")[2].partition(":")[0]) or born(name)
        selection = Selection(topics, since=None if at else since)
        found = await parts.apart(_search, parts.kafka, selection, name, at)
    query = urlencode({"domain": domain, "id": name, "at": found.cursor})
    context = {
        "admin": admin.id,
        "section": "log",
        "domains": DOMAINS,
        "domain": domain,
        "name": name,
        "events": [_line(facts(record)) for record in found.found],
        "read": found.read,
        "more": f"{ROOT}/log/timeline?{query}" if found.cursor else "",
        "continued": bool(at),
    }
    return page("timeline.html", context, 200 if found.found or found.cursor or at else 404)


def _search(bootstrap: str, selection: Selection, name: str, at: str) -> Search:
    with LogReader(bootstrap) as reader:
        return search(reader, selection, speaks_of(name), Bounds(PAGE_EVENTS), at)


def _line(view: Mapping[str, Any]) -> dict[str, Any]:
    place = f"{view['topic']}/{view['partition']}/{view['offset']}"
    return {**view, "place": place, "url": f"{ROOT}/log/events/{place}"}


@router.get("/log/events/{topic}/{partition}/{offset}")
async def event(topic: str, partition: int, offset: int, parts: Parts, admin: AnAdmin) -> Response:
    """Show a record; personal fields are not decrypted."""
    return await _event_page(parts, admin.id, TopicPartition(topic, partition), offset)


@router.post("/log/events/{topic}/{partition}/{offset}", dependencies=[FromHere])
async def event_in_the_clear(
    topic: str, partition: int, offset: int, parts: Parts, admin: AnAdmin
) -> Response:
    """Show a record with its personal fields; that somebody looked is logged."""
    place = f"{topic}/{partition}/{offset}"
    log.info("console_action", action="decrypt", subject=place, actor=admin.id)
    await parts.tasks.store.note("decrypt", place, admin.id, "its personal fields were shown")
    source = TopicPartition(topic, partition)
    return await _event_page(parts, admin.id, source, offset, parts.core.places)


async def _event_page(
    parts: ConsoleParts, admin: str, source: TopicPartition, offset: int, keys: Places | None = None
) -> Response:
    if source.topic not in choose_topics(outcomes=True):
        raise NotFound(f"The log has no topic {source.topic[:_ID_CHARACTERS]}")
    views = await parts.apart(_views, parts.kafka, source, offset, keys)
    context = {
        "admin": admin,
        "section": "log",
        "events": [_line(view) for view in views],
        "readers": _readers(str(views[0]["type"])),
        "decrypted": keys is not None,
    }
    return page("event.html", context)


def _views(
    bootstrap: str, source: TopicPartition, offset: int, places: Places | None
) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        reader = stack.enter_context(LogReader(bootstrap))
        keys = stack.enter_context(stored_keys(places)) if places else NoKeys()
        return list(shown([record_at(reader, source, offset)], keys))


def _readers(stored_name: str) -> list[str]:
    """Return the projections and reactions that read an event."""
    readers = [(each.name, each.events) for each in PROJECTIONS] + [*REACTIONS.items()]
    return [
        name
        for name, events in readers
        if any(stored_name in NAMES.meant_by(event.name) for event in events)
    ]


@router.get("/log/causes")
async def causes(request: Request, parts: Parts, admin: AnAdmin) -> Response:
    """Show what a request led to."""
    name = request.query_params.get("id", "").strip()[:_ID_CHARACTERS]
    graph = await parts.apart(_trace, parts.kafka, name, await _since(parts, name))
    context: dict[str, Any] = {"admin": admin.id, "section": "log", "name": name, "graph": graph}
    if graph is None:
        return page("causes.html", context, 404)
    outcomes = await _outcomes(parts, graph)
    context["tree"] = [_branch(root, outcomes) for root in _in_order(graph.roots)]
    return page("causes.html", context)


def _trace(bootstrap: str, name: str, since: datetime | None) -> Graph | None:
    if not name:
        return None
    with LogReader(bootstrap) as reader:
        return trace(reader, name, since)


async def _since(parts: ConsoleParts, name: str) -> datetime | None:
    """Return when a command was issued whose id does not tell."""
    command_id = _uuid(name)
    if command_id is None or born(name) is not None:
        return None
    async with store_errors():
        issued: datetime | None = await parts.core.pool.fetchval(
            "SELECT issued_at - interval '1 minute' FROM command_log WHERE command_id = $1",
            command_id,
        )
    return issued


async def _outcomes(parts: ConsoleParts, graph: Graph) -> dict[str, dict[str, Any]]:
    ids = list(filter(None, (_uuid(n.id) for n in graph.nodes() if n.kind == "command")))
    async with store_errors():
        rows = await parts.core.pool.fetch(_OUTCOMES, ids)
    return {row["id"]: dict(row) for row in rows}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _in_order(nodes: Iterable[Node]) -> list[Node]:
    def place(node: Node) -> tuple[int, int]:
        record = node.record
        return (record.timestamp_ms, record.offset) if record else (0, 0)

    return sorted(nodes, key=place)


def _branch(node: Node, outcomes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a node and what followed from it, as the template shows it."""
    record, outcome = node.record, outcomes.get(node.id, {})
    is_event = node.kind == "event"
    line = _line(facts(record)) if record else {}
    return {
        "kind": node.kind,
        "id": node.id,
        "type": node.type or outcome.get("command_type", "a command whose record is gone"),
        "time": (line.get("time") or text_of(record, "time")) if record else "",
        "url": line["url"] if is_event else "",
        "stream": line.get("stream", ""),
        "version": line.get("streamVersion"),
        "outcome": "" if is_event else _told(outcome),
        "readers": _readers(node.type) if is_event else [],
        "children": [_branch(child, outcomes) for child in _in_order(node.children)],
    }


def _told(outcome: Mapping[str, Any]) -> str:
    if not outcome:
        return "no outcome yet"
    if outcome["refusal"]:
        return f"refused: {outcome['refusal']}"
    return f"accepted, events: {outcome['event_count']}"


@router.get("/topics")
async def topics_page(parts: Parts, admin: AnAdmin) -> Response:
    """Show every topic: partitions, offsets, retention."""
    found = await parts.apart(topic_facts, parts.kafka)
    return page("topics.html", {"admin": admin.id, "section": "topics", "topics": found})
