"""Credentials that prove nothing, and what a refused registration leaves behind."""

from __future__ import annotations

from typing import Any

import jwt

from tests.support.api import PASSWORD, Api, Person, name, register
from tests.support.log import read_log
from tests.support.videos import Backstage


async def test_worthless_tokens_are_refused(api: Api, person: Person) -> None:
    """PN-35, SH-26: forged, unsigned, misused and malformed tokens are no credentials."""
    claims = jwt.decode(person.token, options={"verify_signature": False})
    forged = jwt.encode(claims, "a secret of somebody else, long enough", algorithm="HS256")
    unsigned = jwt.encode(claims, "", algorithm="none")
    for token in (forged, unsigned, person.refresh_token, "nonsense"):
        answer = await api.call("PUT", f"/users/{person.id}", {"bio": "x"}, token=token)
        assert answer.status == 401, token
        assert answer.body["error"]["message"] == "Authentication required"
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_worthless_tokens_are_refused_on_public_routes_as_well(
    api: Api, public_video: str
) -> None:
    """PN-35: whoever shows a token that proves nothing is told so, not taken for a stranger."""
    assert (await api.call("GET", f"/videos/{public_video}", token="nonsense")).status == 401


async def test_signing_out_needs_a_session(api: Api) -> None:
    """PN-35: nobody known cannot sign out."""
    assert (await api.call("POST", "/auth/logout")).status == 401


async def test_wrong_passwords_and_unknown_emails_are_told_alike(api: Api) -> None:
    """SH-18: the answer does not tell whether there is such an account."""
    person = await register(api)
    attempts = (
        {"email": person.email, "password": "not the password"},
        {"email": f"{name()}@example.org", "password": PASSWORD},
    )
    first, second = [await api.call("POST", "/auth/login", body) for body in attempts]
    assert first.status == second.status == 401
    assert first.body["error"] == second.body["error"]


async def test_a_refused_registration_leaves_nothing_stuck(api: Api) -> None:
    """W6: the email of a registration whose username was taken is free again."""
    person = await register(api)
    body: dict[str, Any] = {
        "username": person.username,
        "email": f"{name()}@example.org",
        "password": PASSWORD,
    }
    assert (await api.call("POST", "/auth/register", body)).status == 409
    again = await api.call("POST", "/auth/register", {**body, "username": name()})
    assert again.status == 201


async def test_the_log_holds_no_personal_text(
    person: Person, public_video: str, backstage: Backstage
) -> None:
    """SH-17: what people write of themselves stands in the log for their own key only."""
    secret = name("secret")
    await person.put(f"/users/{person.id}", {"bio": secret})
    posted = await person.post("/comments", {"videoId": public_video, "text": secret})
    assert (await person.get(f"/comments/{posted.data['id']}")).data["text"] == secret
    log = await read_log(backstage.core.places.kafka)
    mine = [entry.body for entry in log.events if person.id in entry.body.values()]
    text = str(mine)
    assert f"pii:1:{person.id}:" in text
    for private in (secret, person.username, person.email, "$2b$", "127.0.0.1"):
        assert private not in text, private
