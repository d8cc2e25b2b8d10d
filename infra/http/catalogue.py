"""The catalogue of events for people, and the contract for machines.

``/events`` is a page without scripts that shows every event: what it means, its versions, fields
and example, what leads to it and who reads it. ``/schemas/<stored name>`` is the address that a
record's header ``ce_dataschema`` names, ``/asyncapi.json`` the whole as one document.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from events.errors import NotFound
from infra.http.catalogue_page import page
from schemas.publish import ASYNCAPI, Contract

router = APIRouter(tags=["contract"])

_STYLE = Path(__file__).parent / "static" / "catalogue.css"
#: Published versions never change but by optional fields; an hour is soon enough for those.
_CACHED = "public, max-age=3600"


@cache
def _style() -> tuple[str, str]:
    """Return the style sheet and the source expression that lets it in (CSP level 3)."""
    text = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return text, f"'sha256-{digest}'"


@cache
def _page() -> str:
    return page(Contract(), _style()[0])


@router.get("/events", response_class=HTMLResponse)
async def events() -> HTMLResponse:
    """Show every event of the log: a page for people."""
    policy = f"default-src 'none'; style-src {_style()[1]}; base-uri 'none'; form-action 'none'"
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return HTMLResponse(_page(), headers=headers)


@router.get("/schemas/{stored_name}", response_class=Response)
async def schema(stored_name: str) -> Response:
    """Return the JSON Schema of a version of an event, such as ``video.liked.v1``."""
    path = _schemas().get(stored_name)
    if path is None:
        raise NotFound("No such schema", code="SCHEMA_NOT_FOUND")
    return _file(path, "application/schema+json")


@router.get("/asyncapi.json", response_class=Response)
async def asyncapi() -> Response:
    """Return the AsyncAPI 3.0 document of the log."""
    return _file(Contract().folder / ASYNCAPI, "application/json")


@cache
def _schemas() -> dict[str, Path]:
    """Return stored name -> published schema, former names included."""
    contract = Contract()
    known = {
        f"{event_type.name}.v{version}": contract.schema_path(event_type, version)
        for event_type, version in contract.versions()
    }
    for stored_name, domain in contract.retired().items():
        known[stored_name] = contract.retired_schema(stored_name, domain)
    return {name: path for name, path in known.items() if path.exists()}


def _file(path: Path, media_type: str) -> Response:
    headers = {"Cache-Control": _CACHED, "Access-Control-Allow-Origin": "*"}
    return Response(path.read_bytes(), media_type=media_type, headers=headers)
