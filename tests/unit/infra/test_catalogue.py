"""The pages of the contract: every event is shown, every schema served where records name it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from events.base import Event, Id
from events.registry import EVENT_TYPES
from infra.http import catalogue
from infra.http.catalogue_page import REACTIONS, page
from infra.http.errors import install_error_handlers
from processors.apply_verdicts import ApplyVerdicts
from processors.moderate_comments import ModerateComments
from processors.moderate_on_upload import ModerateOnUpload
from processors.remove_deleted_media import RemoveDeletedMedia
from processors.transcode_on_upload import TranscodeOnUpload
from schemas.publish import FOLDER, Contract

NOBODY: Any = cast("Any", None)


class Wicked(Event):
    """<script>alert("no")</script>"""

    name = "wicked.<b>"
    domain = "users"
    deprecated = "use <i>something</i> else"

    wicked_id: Id


class Page(HTMLParser):
    """The tags of a page, checked to be balanced, with ids and links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.add(tag)
        self.ids |= {known["id"] or ""} if "id" in known else set()
        self.links |= {known["href"] or ""} if "href" in known else set()
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(catalogue.router)
    install_error_handlers(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://catalogue") as opened:
        yield opened


async def test_every_event_has_its_place_on_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/events")
    assert answer.status_code == 200
    shown = Page(answer.text)
    assert shown.open == []
    assert {event_type.stored_name() for event_type in EVENT_TYPES} <= shown.ids
    assert "script" not in shown.tags
    for link in shown.links:
        if link.startswith("#"):
            assert link[1:] in shown.ids
        else:
            assert (await client.get(link)).status_code == 200, link


async def test_the_policy_of_the_page_lets_its_style_in_and_nothing_else(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/events")
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.stored_name())
async def test_a_schema_lies_where_its_records_say(
    client: httpx.AsyncClient, event_type: type[Event]
) -> None:
    answer = await client.get(f"/schemas/{event_type.stored_name()}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/schema+json")
    assert answer.json()["$id"] == f"/schemas/{event_type.stored_name()}"


async def test_the_document_is_served_as_published(client: httpx.AsyncClient) -> None:
    answer = await client.get("/asyncapi.json")
    assert answer.content == (FOLDER / "asyncapi.json").read_bytes()


@pytest.mark.parametrize("name", ["video.liked.v9", "video.liked", "..%2Fpublish.py", "asyncapi"])
async def test_there_are_no_other_schemas(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/schemas/{name}")
    assert answer.status_code == 404


def test_what_events_say_of_themselves_is_no_markup(tmp_path: Path) -> None:
    html = page(Contract(tmp_path, (Wicked,), {}), "")
    assert not {"script", "b", "i"} & Page(html).tags
    assert "Deprecated: use &lt;i&gt;something&lt;/i&gt; else" in html


def test_the_page_knows_who_reacts_to_what() -> None:
    rules = (
        TranscodeOnUpload(NOBODY, NOBODY, NOBODY, NOBODY).reaction(1),
        RemoveDeletedMedia(NOBODY).reaction(),
        ModerateOnUpload(NOBODY, NOBODY, NOBODY, NOBODY).reaction(),
        ModerateComments(NOBODY, NOBODY, 0.5).reaction(),
        ApplyVerdicts(NOBODY).reaction(),
    )
    assert {rule.name: rule.events for rule in rules} == dict(REACTIONS)
