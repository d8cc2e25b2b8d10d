"""Accounts, sessions, profiles and follows, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import jwt
from redis.asyncio import Redis

from tests.support.api import PASSWORD, Api, Person, name, register, sign_up
from tests.support.videos import Backstage
from tests.support.waiting import eventually


async def test_an_account_is_opened_once_however_often_it_is_sent(api: Api) -> None:
    """SH-17: the same idempotency key gives the same account; usernames and emails are unique."""
    username = name()
    body = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
    first = await api.call("POST", "/auth/register", body, key=username)
    again = await api.call("POST", "/auth/register", body, key=username)
    assert (first.status, again.status) == (201, 201)
    assert first.data == again.data == {"id": first.data["id"], "username": username}
    taken = await api.call("POST", "/auth/register", {**body, "username": username.upper()})
    assert (taken.status, taken.code) == (409, "ALREADY_TAKEN")
    assert set(taken.fields) == {"username", "email"}


async def test_two_hundred_registrations_of_a_name_make_one_account(api: Api) -> None:
    """SH-17: whoever is first has the name, the others are told."""
    username = name("rush")

    async def attempt(number: int) -> int:
        body = {
            "username": username,
            "email": f"{username}{number}@example.org",
            "password": PASSWORD,
        }
        return (await api.call("POST", "/auth/register", body)).status

    statuses = await asyncio.gather(*(attempt(number) for number in range(200)))
    assert sorted(statuses) == [201] + [409] * 199


async def test_right_credentials_open_a_session(api: Api, backstage: Backstage) -> None:
    """SH-18, SH-26: a JWT with sub, role, iat and exp; wrong credentials are a 401."""
    person = await sign_up(api)
    claims = jwt.decode(person.token, options={"verify_signature": False})
    assert claims["sub"] == person.id
    assert claims["role"] == "viewer"
    assert 0 < claims["exp"] - claims["iat"] <= 86_400
    assert jwt.get_unverified_header(person.token)["alg"] == "HS256"
    wrong = await api.call("POST", "/auth/login", {"email": person.email, "password": "wrong"})
    assert (wrong.status, wrong.code) == (401, "INVALID_CREDENTIALS")
    nobody = await api.call("POST", "/auth/login", {"email": "x@example.org", "password": "wrong"})
    assert (nobody.status, nobody.code) == (401, "INVALID_CREDENTIALS")
    stored = await backstage.core.pool.fetchval(
        "SELECT password_hash FROM users WHERE id = $1", person.id
    )
    assert stored.startswith("$2b$")


async def test_a_session_ends_at_logout_and_with_a_refresh_token_used_twice(api: Api) -> None:
    """SH-133: a token of a session that was ended is worthless at once."""
    person = await sign_up(api)
    renewed = await api.call("POST", "/auth/refresh", {"refreshToken": person.refresh_token})
    assert renewed.status == 200
    reused = await api.call("POST", "/auth/refresh", {"refreshToken": person.refresh_token})
    assert reused.status == 401
    again = await api.call("POST", "/auth/refresh", {"refreshToken": renewed.data["refreshToken"]})
    assert again.status == 401
    other = await sign_up(api)
    assert (await other.post("/auth/logout")).data["revoked"] is True
    refused = await other.post(f"/users/{person.id}/follow")
    assert (refused.status, refused.code) == (401, "AUTHENTICATION_ERROR")


async def test_sessions_are_kept_in_redis(api: Api, backstage: Backstage) -> None:
    """SH-133: the session's user, device and end, for as long as it lasts."""
    person = await sign_up(api)
    session_id = jwt.decode(person.token, options={"verify_signature": False})["sid"]
    redis = Redis.from_url(backstage.core.places.redis, decode_responses=True)
    key = f"{backstage.core.settings.namespace}session:{session_id}"

    async def look() -> dict[str, str]:
        found: dict[str, str] = await cast("Any", redis.hgetall(key))
        assert found
        return found

    session = await eventually("the session", look, 20)
    assert session["userId"] == person.id
    assert session["device"]
    assert 0 < await redis.ttl(key) <= 86_400
    await redis.aclose()


async def test_a_profile_shows_its_owner_more_than_others(person: Person, other: Person) -> None:
    """SH-46, SH-47: bio, avatar and counters; the email is the owner's to see."""
    changed = await person.put(f"/users/{person.id}", {"bio": "I film harbours."})
    assert changed.status == 200
    mine = (await person.get(f"/users/{person.id}")).data
    assert (mine["bio"], mine["email"]) == ("I film harbours.", person.email)
    other.saw(person.seen)
    theirs = (await other.get(f"/users/{person.id}")).data
    assert theirs["bio"] == "I film harbours."
    assert theirs["email"] is None
    refused = await other.put(f"/users/{person.id}", {"bio": "mine now"})
    assert (refused.status, refused.code) == (403, "PERMISSION_DENIED")
    missing = await person.get("/users/00000000-0000-7000-8000-000000000000")
    assert (missing.status, missing.code) == (404, "USER_NOT_FOUND")


async def test_following_counts_once_and_can_be_taken_back(person: Person, other: Person) -> None:
    """SH-49, SH-50, SH-51, SH-131: a pair is unique, nobody follows themselves."""
    for _ in range(2):
        answer = await other.post(f"/users/{person.id}/follow")
        assert answer.data == {"userId": person.id, "following": True}
    followers = await other.get(f"/users/{person.id}/followers")
    assert [entry["id"] for entry in followers.data] == [other.id]
    following = await other.get(f"/users/{other.id}/following")
    assert [entry["id"] for entry in following.data] == [person.id]
    profile = (await other.get(f"/users/{person.id}")).data
    assert (profile["followerCount"], profile["isFollowing"]) == (1, True)
    assert (await other.delete(f"/users/{person.id}/follow")).data["following"] is False
    assert (await other.get(f"/users/{person.id}")).data["followerCount"] == 0
    alone = await person.post(f"/users/{person.id}/follow")
    assert (alone.status, alone.code) == (422, "SELF_FOLLOW")
    nobody = await person.post("/users/00000000-0000-7000-8000-000000000000/follow")
    assert (nobody.status, nobody.code) == (404, "USER_NOT_FOUND")


async def test_followers_are_paged_without_repeats(api: Api, person: Person) -> None:
    """SH-12, SH-51: pages by number and by cursor hold each row once."""
    fans = await asyncio.gather(*(sign_up(api, "fan") for _ in range(5)))
    for fan in fans:
        await fan.post(f"/users/{person.id}/follow")
        person.saw(fan.seen)
    path = f"/users/{person.id}/followers"
    # At the same time: equal lists are made once, and these are not equal.
    pages = await asyncio.gather(*(person.get(path, page=n, limit=2) for n in (1, 2, 3)))
    assert [len(page.data) for page in pages] == [2, 2, 1]
    assert pages[0].meta["total"] == 5
    assert pages[0].meta["totalPages"] == 3
    assert pages[0].meta["pagination"]["page"] == 1
    seen = {entry["id"] for page in pages for entry in page.data}
    assert seen == {fan.id for fan in fans}
    by_cursor = await person.get(path, limit=2, cursor=pages[0].meta["nextCursor"])
    assert [entry["id"] for entry in by_cursor.data] == [entry["id"] for entry in pages[1].data]


async def test_a_registered_person_signs_in_at_once(api: Api) -> None:
    """SH-18: the read model is waited for, not guessed at."""
    for _ in range(10):
        person = await register(api, "swift")
        assert (await person.sign_in()).token
