"""Pages from templates, with the headers that every page of the console has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from events.errors import ErrorKind, StreamHubError
from infra.http.errors import STATUS, retry_after

#: Where the console is mounted.
ROOT = "/console"
_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"
FILES = {"console.css": "text/css", "console.js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    # Pages show what few may see, and are old in a second.
    "Cache-Control": "no-store",
    # With `no-referrer` browsers would send forms without saying where they come from.
    "Referrer-Policy": "same-origin",
}
_WORDS = {
    400: "That cannot be done",
    401: "Sign in first",
    403: "Not permitted",
    404: "Not found",
    405: "Not found",
    409: "Not now",
    413: "Too much",
    429: "Too many tries",
    503: "Not available",
}


@cache
def version() -> str:
    """Return what changes with any of the console's files."""
    digest = hashlib.sha256()
    for name in FILES:
        digest.update((STATIC / name).read_bytes())
    return digest.hexdigest()[:12]


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"moment": moment, "instant": instant}
    templates.filters |= {"number": number, "seconds": seconds, "json": pretty}
    templates.globals |= {"root": ROOT, "version": version()}
    return templates


def moment(value: datetime | str | None) -> str:
    """Return a time as pages show it: UTC, to the second."""
    return f"{_utc(value):%Y-%m-%d %H:%M:%S} UTC" if value else ""


def instant(value: datetime | str | None) -> str:
    """Return a time to the millisecond, which tells events apart."""
    return f"{_utc(value):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC" if value else ""


def _utc(value: datetime | str) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(UTC)


def number(value: int) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def seconds(value: float) -> str:
    """Return a span as pages show it."""
    return f"{value:.1f} s"


def pretty(value: Any) -> str:
    """Return data as indented JSON."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()


def page(
    template: str, context: Mapping[str, Any], status: int = 200, **headers: str
) -> HTMLResponse:
    """Return a page; ``context`` needs ``admin``, the id of who looks at it, or None."""
    html = _templates().get_template(template).render(context)
    return HTMLResponse(html, status, {**HEADERS, **headers})


def error_page(error: StreamHubError) -> HTMLResponse:
    """Return the page that says what went wrong; what is internal stays inside."""
    status = STATUS[error.kind]
    internal = error.kind is ErrorKind.INTERNAL
    told = [f"{detail.field}: {detail.message}" for detail in error.details]
    message = "Something went wrong here." if internal else error.message
    answer = plain_page(status, message, told)
    answer.headers.update(retry_after(error))
    return answer


def plain_page(status: int, message: str, details: list[str] | None = None) -> HTMLResponse:
    """Return a page with a message and nothing else."""
    context = {
        "admin": None,
        "title": _WORDS.get(status, "Something went wrong"),
        "message": message,
        "details": details or [],
        "status": status,
    }
    return page("error.html", context, status)


def seen(path: str) -> RedirectResponse:
    """Send a browser on to a page after it has posted something."""
    return RedirectResponse(f"{ROOT}{path}", 303, {"Cache-Control": "no-store"})
