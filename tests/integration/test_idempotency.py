"""The same request sent again, for whatever reason: decided once, answered alike."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.support.api import PASSWORD, Answer, Api, Person, name
from tests.support.log import read_log
from tests.support.streamhub import COMMAND_TIMEOUT_S, StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually


async def _events_of(backstage: Backstage, command_id: str) -> int:
    log = await read_log(backstage.core.places.kafka)
    assert [o.body["command_id"] for o in log.outcomes].count(command_id) == 1
    return sum(entry.command_id == command_id for entry in log.events)


async def test_fifty_at_once_with_one_key_are_one_command(
    person: Person, public_video: str, backstage: Backstage
) -> None:
    """PN-74, SH-59, W4: one event and one answer; whoever comes too early is told so."""
    body = {"videoId": public_video, "text": "said once"}
    answers = await asyncio.gather(
        *(
            person.api.call("POST", "/comments", body, token=person.token, key="fifty")
            for _ in range(50)
        )
    )
    counted = Counter(answer.status for answer in answers)
    assert set(counted) <= {201, 409}
    done = [answer for answer in answers if answer.status == 201]
    assert done, counted
    assert all(answer.body == done[0].body for answer in done)
    assert {answer.code for answer in answers if answer.status == 409} <= {"IDEMPOTENCY_KEY_IN_USE"}
    assert await _events_of(backstage, done[0].command_id) == 1


async def test_a_key_gives_the_first_answer_again(person: Person, public_video: str) -> None:
    """W4: a retry is answered as the first try was."""
    body = {"videoId": public_video, "text": "said once"}
    first, again = [await person.post("/comments", body, key="again") for _ in range(2)]
    assert first.status == again.status == 201
    assert first.body == again.body


async def test_a_key_gives_the_first_refusal_again(person: Person) -> None:
    """W4: errors that were decided are kept as well."""
    path = f"/users/{person.id}/follow"
    first, again = [await person.post(path, key="myself") for _ in range(2)]
    assert first.status == again.status == 422
    assert first.body == again.body


async def test_a_key_belongs_to_one_request(person: Person, public_video: str) -> None:
    """W4: the same key with another body or another route is refused."""
    body = {"videoId": public_video, "text": "the first"}
    assert (await person.post("/comments", body, key="mine")).status == 201
    other_body = await person.post("/comments", {**body, "text": "the second"}, key="mine")
    other_route = await person.post(f"/videos/{public_video}/like", key="mine")
    for answer in (other_body, other_route):
        assert (answer.status, answer.code) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_key_belongs_to_one_caller(
    person: Person, other: Person, public_video: str
) -> None:
    """W4: two people may choose the same key."""
    body = {"videoId": public_video, "text": "me too"}
    mine = await person.post("/comments", body, key="shared")
    yours = await other.post("/comments", body, key="shared")
    assert mine.status == yours.status == 201
    assert mine.data["id"] != yours.data["id"]


async def test_a_retried_removal_is_answered_as_the_first(
    person: Person, public_video: str
) -> None:
    """SH-62, W4: what the first try removed does not make the second one fail."""
    posted = await person.post("/comments", {"videoId": public_video, "text": "a mistake"})
    path = f"/comments/{posted.data['id']}"
    first, again = [await person.delete(path, key="remove") for _ in range(2)]
    assert first.status == again.status == 200
    assert first.body == again.body


async def test_a_retried_registration_is_one_account(api: Api) -> None:
    """SH-17, W4: also for callers without an account; the answer is the first one."""
    username = name()
    body = {"username": username, "email": f"{username}@example.org", "password": "long enough"}
    first, again = [await api.call("POST", "/auth/register", body, key=username) for _ in range(2)]
    assert first.status == again.status == 201
    assert first.body == again.body


async def test_a_retried_sign_in_is_one_session(api: Api, person: Person) -> None:
    """SH-18, W4: the same tokens come again."""
    body = {"email": person.email, "password": person.password}
    first, again = [
        await api.call("POST", "/auth/login", body, key=f"login {person.id}") for _ in range(2)
    ]
    assert first.data["refreshToken"] == again.data["refreshToken"]


async def test_keys_that_are_too_long_are_refused(person: Person, public_video: str) -> None:
    """PN-34: the header is named."""
    answer = await person.post(f"/videos/{public_video}/like", key="k" * 256)
    assert (answer.status, list(answer.fields)) == (400, ["Idempotency-Key"])


async def test_a_command_that_takes_too_long_is_decided_all_the_same(
    streamhub: StreamHub, person: Person, public_video: str
) -> None:
    """PN-74: 202 says where the outcome will stand; the same key then gives the answer."""
    body = {"videoId": public_video, "text": "patience"}
    with streamhub.paused("commands"):
        pending = await person.post("/comments", body, key="patience")
    assert pending.status == 202
    path = f"/commands/{pending.command_id}"
    assert pending.headers["location"] == f"/api/v1{path}"

    async def outcome() -> Answer | None:
        found = await person.get(path)
        return found if found.status == 200 else None

    found = await eventually("the outcome", outcome)
    assert (found.data["status"], found.data["eventCount"]) == ("accepted", 1)

    async def answered() -> Answer | None:
        again = await person.post("/comments", body, key="patience")
        return again if again.status == 201 else None

    again = await eventually("the answer", answered, 3 * COMMAND_TIMEOUT_S + 10)
    assert again.command_id == pending.command_id
    assert again.data["id"] == found.data["answer"]["id"]


async def test_outcomes_are_shown_to_their_owner(
    person: Person, other: Person, public_video: str
) -> None:
    """PN-74: nobody else learns of a command."""
    sent = await person.post(f"/videos/{public_video}/like")
    path = f"/commands/{sent.command_id}"

    async def mine() -> Answer | None:
        found = await person.get(path)
        return found if found.status == 200 else None

    found = await eventually("the outcome", mine)
    assert found.data["streamVersion"] == sent.meta["command"]["streamVersion"]
    assert (await other.get(path)).status == 404


async def test_a_retry_is_answered_as_the_first_try_though_the_video_is_gone(
    person: Person, video: str
) -> None:
    """W4: what has become of the video since does not change what was answered."""
    first = await person.post(f"/videos/{video}/like", key="before")
    assert (await person.delete(f"/videos/{video}")).status == 200
    assert (await person.get(f"/videos/{video}")).status == 404
    again = await person.post(f"/videos/{video}/like", key="before")
    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    assert (await person.post(f"/videos/{video}/like", key="after")).status == 404


async def test_a_wish_for_a_comment_is_answered_alike_after_its_deletion(
    person: Person, public_video: str
) -> None:
    """W4: the answer was lost, and the comment went before the retry."""
    comment = (await person.post("/comments", {"videoId": public_video, "text": "short"})).data
    wishes = {
        "like": ("POST", f"/comments/{comment['id']}/like", None),
        "edit": ("PUT", f"/comments/{comment['id']}", {"text": "shorter"}),
        "reply": ("POST", f"/comments/{comment['id']}/reply", {"text": "yes"}),
    }

    async def wished() -> dict[str, Answer]:
        return {key: await person.call(*wish, key=key) for key, wish in wishes.items()}

    first = await wished()
    assert {answer.status for answer in first.values()} == {200, 201}
    assert (await person.delete(f"/comments/{comment['id']}")).status == 200
    for key, again in (await wished()).items():
        assert (again.status, again.body) == (first[key].status, first[key].body), key


async def test_a_retry_from_another_network_is_the_same_request(
    streamhub: StreamHub, api: Api
) -> None:
    """W4: phones change networks; whoever has no access token yet is known by what they send."""
    async with Api(streamhub.url, source="127.0.0.77") as elsewhere:
        username = name("phone")
        body = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
        opened = [
            await each.call("POST", "/auth/register", body, key=username)
            for each in (api, elsewhere)
        ]
        assert [answer.status for answer in opened] == [201, 201], opened
        assert opened[0].body == opened[1].body
        sign_in = {"email": body["email"], "password": PASSWORD}
        refresh_token = (await api.call("POST", "/auth/login", sign_in)).data["refreshToken"]
        renewed = [
            await each.call("POST", "/auth/refresh", {"refreshToken": refresh_token}, key="once")
            for each in (api, elsewhere)
        ]
        assert [answer.status for answer in renewed] == [200, 200], renewed
        assert renewed[0].data == renewed[1].data


async def test_a_refusal_has_a_token_too(person: Person) -> None:
    """SH-13: it is an outcome in the log like any other."""
    answer = await person.post(f"/users/{person.id}/follow")
    assert (answer.status, bool(answer.token)) == (422, True)
