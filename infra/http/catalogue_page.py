"""The page of events, made from the registry: domains, events, versions, fields, readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import orjson

from commands.router import AGGREGATES
from events.base import Event
from events.comments import CommentEdited, CommentPosted
from events.moderation import ContentReviewed, ContentScored
from events.outcomes import DOMAIN as OUTCOMES
from events.videos import VideoCreated, VideoDeleted
from projections.registry import PROJECTIONS
from schemas.catalogue import DOMAINS
from schemas.publish import Contract, read_file, schema_of

#: Reaction -> the events that it reacts to; a test compares it with the rules themselves.
REACTIONS: Mapping[str, tuple[type[Event], ...]] = {
    "transcode_on_upload": (VideoCreated,),
    "remove_deleted_media": (VideoDeleted,),
    "moderate_on_upload": (VideoCreated,),
    "moderate_comments": (CommentPosted, CommentEdited),
    "apply_verdicts": (ContentScored, ContentReviewed),
}
#: Rules in JSON Schema that a table has a column for, or that say nothing to people.
_SHOWN_ELSEWHERE = frozenset(
    {"title", "type", "x-personal", "$ref", "anyOf", "items", "pattern", "default", "deprecated"}
)


def page(contract: Contract, style: str) -> str:
    """Return the whole page; every text from elsewhere is escaped."""
    body = "".join(_body(contract))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>StreamHub: events</title><style>{style}</style></head>"
        f"<body>{body}</body></html>"
    )


def _body(contract: Contract) -> Iterator[str]:
    by_domain = _by_domain(contract)
    yield "<header><h1>Events of StreamHub</h1>"
    yield (
        "<p>Everything that happens is one of these, for ever in the log. Records are JSON with "
        "CloudEvents headers; the whole contract as one document is "
        '<a href="/asyncapi.json">asyncapi.json</a>.</p>'
    )
    yield f"<nav><ul>{''.join(map(_domain_link, by_domain))}</ul></nav></header><main>"
    for domain, events in by_domain.items():
        yield from _domain(contract, domain, events)
    yield "</main>"


def _by_domain(contract: Contract) -> dict[str, list[type[Event]]]:
    names = [*(domain.name for domain in DOMAINS), OUTCOMES]
    return {
        name: found for name in names if (found := [t for t in contract.types if t.domain == name])
    }


def _domain_link(name: str) -> str:
    return f'<li><a href="#{escape(name)}">{escape(name)}</a></li>'


def _domain(contract: Contract, name: str, events: list[type[Event]]) -> Iterator[str]:
    known = {domain.name: domain for domain in DOMAINS}.get(name)
    yield f'<section id="{escape(name)}"><h2>{escape(name)}</h2>'
    if known is not None:
        yield (
            f"<p>{escape(known.description)}. Topic <code>{escape(known.events)}</code>, "
            f"keyed by {escape(known.key)}; kept by {escape(known.owner)}.</p>"
        )
    else:
        yield "<p>Each domain has a topic of them, <code>outcomes.&lt;domain&gt;</code>.</p>"
    for event_type in events:
        yield from _event(contract, event_type)
    retired = {n for n, domain in contract.retired().items() if domain == name}
    if retired:
        links = ", ".join(_schema_link(stored_name) for stored_name in sorted(retired))
        yield f"<p>Called otherwise today, and still read: {links}.</p>"
    yield "</section>"


def _event(contract: Contract, event_type: type[Event]) -> Iterator[str]:
    stored_name, schema = event_type.stored_name(), schema_of(event_type)
    yield f'<article id="{escape(stored_name)}"><h3><a href="#{escape(stored_name)}">'
    yield f"{escape(stored_name)}</a></h3><p>{escape(schema.get('description', ''))}</p>"
    if event_type.deprecated:
        yield f'<p class="deprecated">Deprecated: {escape(event_type.deprecated)}</p>'
    yield f"<dl>{''.join(_facts(event_type))}</dl>"
    yield from _fields(schema)
    example = contract.example_path(event_type, event_type.version)
    if example.exists():
        text = orjson.dumps(read_file(example), option=orjson.OPT_INDENT_2).decode()
        yield f"<details><summary>Example</summary><pre>{escape(text)}</pre></details>"
    yield "</article>"


def _facts(event_type: type[Event]) -> Iterator[str]:
    versions = (f"{event_type.name}.v{n}" for n in range(1, event_type.version + 1))
    yield _fact("Versions", ", ".join(map(_schema_link, versions)))
    aggregates = [each.name for each in AGGREGATES if event_type in each.events]
    if aggregates:
        yield _fact("Decided by", escape(", ".join(aggregates)))
    readers = [each.name for each in PROJECTIONS if event_type in each.events]
    readers += [name for name, events in REACTIONS.items() if event_type in events]
    yield _fact("Read by", escape(", ".join(readers)) or "nobody yet")


def _fact(name: str, html: str) -> str:
    return f"<div><dt>{name}</dt><dd>{html}</dd></div>"


def _schema_link(stored_name: str) -> str:
    return f'<a href="/schemas/{escape(stored_name)}"><code>{escape(stored_name)}</code></a>'


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "<table><thead><tr><th>Field</th><th>Type</th><th></th></tr></thead><tbody>"
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        notes = [] if name in required else ["optional"]
        if "x-personal" in field:
            notes.append(f"personal, of {field['x-personal']}")
        notes += [
            f"{word} {value}" for word, value in field.items() if word not in _SHOWN_ELSEWHERE
        ]
        yield f"<tr><td><code>{escape(name)}</code></td><td>{escape(_type(field, schema))}</td>"
        yield f"<td>{escape('; '.join(notes))}</td></tr>"
    yield "</tbody></table>"


def _type(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return a field's type in a few words."""
    match field:
        case {"$ref": str(reference)}:
            return _type(schema["$defs"][reference.rpartition("/")[2]], schema)
        case {"enum": list(values)}:
            return " | ".join(map(str, values))
        case {"anyOf": list(choices)}:
            return " or ".join(_type(choice, schema) for choice in choices)
        case {"items": Mapping() as items}:
            return f"list of {_type(items, schema)}"
        case {"pattern": str()}:
            return "id"
        case _:
            return str(field.get("format") or field.get("type", "anything"))
