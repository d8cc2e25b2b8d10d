"""The operators' console over HTTP: who may enter, what is refused, what cannot be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator

import pytest

from commands.users import ChangeRole
from events import clock
from events.base import TopicPartition
from events.users import Role
from infra.console.session import COOKIE
from infra.dead_letters.topic import open_letters
from projections.registry import PROJECTIONS
from schemas.catalogue import topics
from tests.support.api import Api, Person, register
from tests.support.console import Console, text_of
from tests.support.positions import settled
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually

PAGES = ("/", "/projections/comments", "/letters", "/letters/0:1", "/log", "/topics")


@pytest.fixture
async def console(streamhub: StreamHub, admin: Person) -> AsyncIterator[Console]:
    async with Console(streamhub.url) as console:
        entered = await console.sign_in(admin)
        assert entered.status_code == 303, entered.text
        yield console


@pytest.fixture
async def stranger(streamhub: StreamHub) -> AsyncIterator[Console]:
    async with Console(streamhub.url) as console:
        yield console


async def test_an_admin_signs_in_and_out(stranger: Console, admin: Person) -> None:
    """The cookie is for the console alone, and worthless once its session has ended."""
    entered = await stranger.sign_in(admin, "/console/topics?x=1")
    assert (entered.status_code, entered.headers["location"]) == (303, "/console/topics?x=1")
    cookie = entered.headers["set-cookie"].lower()
    for word in ("httponly", "samesite=strict", "path=/console", "max-age="):
        assert word in cookie
    page = await stranger.get("/")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    assert all(projection.name in page.text for projection in PROJECTIONS)
    token = stranger.http.cookies[COOKIE]
    as_bearer = await admin.api.raw(
        "GET", "/api/v1/moderation/queue", headers={"Authorization": f"Bearer {token}"}
    )
    assert as_bearer.status_code == 401
    assert (await stranger.post("/sign-out")).headers["location"] == "/console/sign-in"
    stranger.http.cookies.set(COOKIE, token, path="/console")
    assert (await stranger.get("/")).status_code == 303


@pytest.mark.parametrize("path", PAGES)
async def test_strangers_are_sent_to_the_form(stranger: Console, path: str) -> None:
    sent = await stranger.get(path)
    assert sent.status_code == 303
    assert sent.headers["location"].startswith("/console/sign-in?next=%2Fconsole%2F")
    form = await stranger.http.get(sent.headers["location"].removeprefix("/console"))
    assert form.status_code == 200
    assert "Password" in form.text


@pytest.mark.parametrize(
    "path", ["/projections/comments/rebuild", "/letters/retry", "/log/events/events.videos/0/0"]
)
async def test_strangers_can_do_nothing(stranger: Console, path: str) -> None:
    refused = await stranger.post(path, {"letter": "0:0"})
    assert (refused.status_code, "/sign-in" in refused.headers["location"]) == (303, True)


async def test_strangers_hear_nothing(stranger: Console) -> None:
    stranger.http.cookies.set(COOKIE, "made up", path="/console")
    for what in ("projections", "work"):
        assert (await stranger.get(f"/live/{what}")).status_code == 401


async def test_who_is_no_admin_is_refused(stranger: Console, person: Person) -> None:
    refused = await stranger.sign_in(person)
    assert (refused.status_code, COOKIE in stranger.http.cookies) == (403, False)
    assert "for admins" in text_of(refused)


async def test_who_is_no_admin_any_more_is_refused(
    streamhub: StreamHub, stranger: Console, api: Api, backstage: Backstage
) -> None:
    """The role counts at each request, not the one at the time of signing in."""
    person = await register(api)
    await backstage.decide(ChangeRole(user_id=person.id, role=Role.ADMIN), person)
    assert (await person.get(f"/users/{person.id}")).data["role"] == "admin"
    assert (await stranger.sign_in(person)).status_code == 303
    assert (await stranger.get("/topics")).status_code == 200
    await backstage.decide(ChangeRole(user_id=person.id, role=Role.VIEWER), person)
    assert (await person.get(f"/users/{person.id}")).data["role"] == "viewer"
    assert (await stranger.get("/topics")).status_code == 403


@pytest.mark.parametrize(
    ("email", "password"),
    [("", ""), ("nobody@example.org", "wrong"), ("x" * 500, "y" * 500), ("a\0b@c", "x\0")],
)
async def test_wrong_credentials_are_told(stranger: Console, email: str, password: str) -> None:
    refused = await stranger.post("/sign-in", {"email": email, "password": password})
    assert refused.status_code == 401
    assert "Email or password is wrong" in text_of(refused)


async def test_guessing_passwords_ends_soon(streamhub: StreamHub) -> None:
    """The limit is that of every sign-in, and told on a page."""
    wrong = {"email": "nobody@example.org", "password": "wrong"}
    address = f"127.140.{secrets.randbelow(256)}.{secrets.randbelow(256)}"
    async with Console(streamhub.url, address) as guesser:
        tries = [await guesser.post("/sign-in", wrong) for _ in range(6)]
    assert [each.status_code for each in tries] == [*[401] * 5, 429]
    assert "Rate limit exceeded" in text_of(tries[-1])
    assert int(tries[-1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/console/",
        "/console/../api",
        "/\\evil.example",
        "x",
    ],
)
async def test_nobody_is_led_elsewhere(stranger: Console, admin: Person, elsewhere: str) -> None:
    entered = await stranger.sign_in(admin, elsewhere)
    target = entered.headers["location"]
    assert target.startswith("/console/")
    assert "evil" not in target


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_forms_of_other_sites_are_refused(console: Console, headers: dict[str, str]) -> None:
    for path in ("/projections/comments/pause", "/letters/discard", "/sign-out", "/sign-in"):
        refused = await console.post(path, {"letter": "0:0"}, **headers)
        assert refused.status_code == 403, path
    silent = await console.http.post("/projections/comments/pause")
    assert silent.status_code == 403
    assert (await console.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/projections/nothing", 404),
        ("/letters/9:999999", 404),
        ("/letters/x", 404),
        ("/letters?since=yesterday", 400),
        ("/letters?state=lost", 400),
        ("/letters?page=0", 400),
        ("/letters?page=2000", 200),
        ("/letters?since=99999999d", 400),
        ("/log/timeline?domain=nothing&id=x", 400),
        ("/log/timeline?domain=videos&id=x", 404),
        ("/log/timeline?domain=videos&id=x&at=events.users:0:1", 400),
        ("/log/timeline?domain=videos&id=x&at=%00,,:", 400),
        ("/log/events/deadletters/0/0", 404),
        ("/log/events/events.videos/0/99999999", 404),
        ("/log/events/events.videos/77/0", 404),
        ("/log/events/events.videos/x/0", 400),
        ("/log/events/events.videos/0/-1", 404),
        ("/log/causes?id=00000000-0000-4000-8000-000000000000", 404),
        ("/log/causes", 404),
        ("/log/causes?id=ffffffff-ffff-7fff-8fff-ffffffffffff", 404),
        ("/log/causes?id=urn:uuid:00000000-0000-4000-8000-000000000000", 404),
        ("/log/causes?id=%00%ff", 404),
        ("/log/timeline?domain=videos&id=%00%ff", 404),
        ("/static/nothing.css", 404),
    ],
)
async def test_what_cannot_be_is_said_on_a_page(console: Console, path: str, status: int) -> None:
    answer = await console.http.get(path)
    assert answer.status_code == status, text_of(answer)
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>" in answer.text


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/projections/nothing/pause", {}, 404),
        ("/projections/all/pause", {}, 404),
        ("/projections/comments/explode", {}, 404),
        ("/projections/comments/rebuild", {"rate": "fast"}, 400),
        ("/projections/comments/rebuild", {"rate": "--fresh"}, 400),
        ("/letters/retry", {}, 400),
        ("/letters/retry", {"letter": "9:999999"}, 404),
        ("/letters/retry", {"letter": "--help"}, 404),
        ("/letters/discard", {"because": "why"}, 400),
    ],
)
async def test_what_cannot_be_done_is_said_on_a_page(
    console: Console, path: str, fields: dict[str, str], status: int
) -> None:
    answer = await console.post(path, fields)
    assert answer.status_code == status, text_of(answer)
    assert "<h1>" in answer.text


async def test_a_person_is_shown_only_when_asked(
    console: Console, backstage: Backstage, person: Person
) -> None:
    """Personal fields are redacted, and shown to an admin who says so, which is noted."""
    await settled(backstage.core)
    found = await console.get("/log/timeline", domain="users", id=person.id)
    assert (found.status_code, "user.registered.v1" in found.text) == (200, True)
    [place] = {word for word in found.text.split('"') if "/log/events/events.users/" in word}
    path = place.removeprefix("/console")
    hidden = await console.get(path)
    assert (person.email in hidden.text, f"erased:{person.id}" in hidden.text) == (False, True)
    assert person.email in (await console.post(path)).text
    noted = await console.get("/")
    assert "decrypt" in text_of(noted)


async def test_the_events_of_many_pages_are_gone_through(
    console: Console, backstage: Backstage, person: Person, other: Person
) -> None:
    video = await backstage.ready_video(person)
    for _ in range(26):
        await other.post(f"/videos/{video}/like")
        await other.delete(f"/videos/{video}/like")
    path, versions = f"/log/timeline?domain=engagement&id=like-{video}:{other.id}", []
    for _ in range(20):
        page = await console.http.get(path)
        versions += [line for line in page.text.splitlines() if "like-" in line and "any" in line]
        onwards = [word for word in page.text.split('"') if "timeline?" in word and "at=" in word]
        if not onwards:
            break
        path = onwards[0].replace("&amp;", "&").removeprefix("/console")
    assert len([line for line in versions if line.startswith("<td")]) == 52


async def test_topics_are_those_of_the_catalogue(console: Console) -> None:
    page = text_of(await console.get("/topics"))
    assert all(topic.name in page for topic in topics())
    assert "missing" not in page
    assert "the catalogue wants another" not in page


async def test_pausing_is_seen_and_noted(console: Console) -> None:
    done = await console.post("/projections/trending/pause")
    assert done.status_code == 303
    try:
        assert "paused" in text_of(await console.get("/projections/trending"))
    finally:
        assert (await console.post("/projections/trending/resume")).status_code == 303
    assert "paused" not in text_of(await console.get("/projections/trending"))


async def test_a_rebuild_goes_on_behind_the_request_and_can_be_cancelled(console: Console) -> None:
    """Nothing else can be begun with it meanwhile; cancelled it leaves nothing."""
    slow = {"rate": "1", "fresh": "on"}
    assert (await console.post("/projections/moderation_queue/rebuild", slow)).status_code == 303
    again = await console.post("/projections/moderation_queue/rebuild", slow)
    assert (again.status_code, "under way" in text_of(again)) == (409, True)
    heard = await _heard(console)
    assert heard["cells"]["moderation_queue.state"] == "rebuild under way"
    assert (await console.post("/projections/moderation_queue/prune")).status_code == 409
    assert (await console.post("/projections/moderation_queue/cancel")).status_code == 303
    page = text_of(await console.get("/projections/moderation_queue"))
    assert "stopped cancelled" in page
    assert "building" not in page


async def _heard(console: Console) -> dict[str, dict[str, str]]:
    """Return the first thing that an open page hears."""
    async with asyncio.timeout(30), console.http.stream("GET", "/live/projections") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                found: dict[str, dict[str, str]] = json.loads(line.removeprefix("data: "))
                return found
    raise AssertionError("nothing was heard")


async def test_a_closing_api_keeps_nobody_waiting_and_stops_its_tasks(
    streamhub: StreamHub, console: Console
) -> None:
    """A page that is open ends with the API; a rebuild is stopped, and can be gone on with."""
    slow = {"rate": "1", "fresh": "on"}
    assert (await console.post("/projections/comments/rebuild", slow)).status_code == 303
    pid = streamhub.pid("api")
    async with console.http.stream("GET", "/live/projections") as stream:
        lines = stream.aiter_lines()
        await anext(lines)
        async with asyncio.timeout(60):
            stopping = asyncio.create_task(asyncio.to_thread(streamhub.restart, "api"))
            with contextlib.suppress(Exception):
                async for _ in lines:
                    continue
            await stopping
    await streamhub.wait_ready("api", but_not=pid)
    page = text_of(await console.get("/projections/comments"))
    assert "stopped with the API" in page
    assert (await console.post("/projections/comments/cancel")).status_code == 303


async def test_a_letter_is_retried_and_discarded(console: Console, backstage: Backstage) -> None:
    """What fails again says why; what is discarded says why as well, and stays."""
    core, key = backstage.core, clock.new_id()
    place = TopicPartition("commands.follows", 0)
    async with open_letters(core.places.kafka) as letters:
        await letters.append(place, key, b"no command", [("command_type", b"user.hug.v1")])

    async def buried() -> str:
        page = await console.get("/letters", key=key)
        [letter] = {w for w in page.text.split('"') if w.startswith("/console/letters/0:")} or {""}
        return letter.removeprefix("/console")

    path = await eventually("the letter", buried, 30.0)
    shown = text_of(await console.get(path))
    assert "user.hug.v1" in shown
    assert "no command" in shown
    letter = {"letter": path.rpartition("/")[2]}
    assert (await console.post("/letters/discard", {**letter, "because": ""})).status_code == 400
    done = await console.post("/letters/discard", {**letter, "because": "a <b>test</b>"})
    assert (done.status_code, done.headers["location"]) == (303, f"/console{path}#told")
    gone = await console.get(path)
    assert "a <b>test</b>" not in gone.text
    assert "a &lt;b&gt;test&lt;/b&gt;" in gone.text
    twice = await console.post("/letters/discard", {**letter, "because": "again"})
    assert twice.status_code == 303
    assert "it was discarded already" in text_of(await console.get(path))
