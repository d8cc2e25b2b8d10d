"""Likes, shares, views and what every store makes of them, over HTTP."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from tests.support.api import Api, Person, sign_up
from tests.support.videos import Backstage
from tests.support.waiting import eventually

#: The full run makes 1,000 tries.
TRIES = int(os.environ.get("STREAMHUB_TOKEN_TRIES", "20"))


async def test_a_like_counts_once(person: Person, video: str) -> None:
    """SH-38, SH-39, SH-130: once a user, and it can be withdrawn."""
    for _ in range(2):
        answer = await person.post(f"/videos/{video}/like")
        assert answer.data == {"videoId": video, "liked": True}
        assert answer.meta["command"]["streamVersion"] == 1
    found = (await person.get(f"/videos/{video}")).data
    assert (found["likes"], found["liked"]) == (1, True)
    assert (await person.delete(f"/videos/{video}/like")).data["liked"] is False
    assert (await person.get(f"/videos/{video}")).data["likes"] == 0


async def test_one_key_fifty_times_at_once_is_one_event_and_one_answer(
    api: Api, person: Person, video: str
) -> None:
    """SH-44: the rest is told that the first try is running, or gets its answer."""

    async def share() -> tuple[int, str]:
        answer = await api.call(
            "POST", f"/videos/{video}/share", {"channel": "mail"}, token=person.token, key="once"
        )
        return answer.status, answer.command_id if answer.status == 201 else answer.code

    answers = await asyncio.gather(*(share() for _ in range(50)))
    done = {what for status, what in answers if status == 201}
    assert len(done) == 1
    assert {(s, w) for s, w in answers if s != 201} <= {(409, "IDEMPOTENCY_KEY_IN_USE")}
    again = await person.post(f"/videos/{video}/share", {"channel": "mail"}, key="once")
    assert {again.command_id} == done
    assert (await person.get(f"/videos/{video}")).data["shares"] == 1
    other = await person.post(f"/videos/{video}/share", {"channel": "chat"}, key="once")
    assert (other.status, other.code) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_a_view_counts_once_an_hour_by_either_route(person: Person, video: str) -> None:
    """SH-37, SH-78, SH-83: both routes tell the same fact."""
    watching = {
        "sessionId": video,
        "watchDuration": 12.5,
        "device": "phone",
        "country": "DE",
        "referrer": "https://example.org/",
    }
    assert (await person.post(f"/videos/{video}/view", watching)).status == 201
    assert (await person.post("/analytics/view", {"videoId": video, **watching})).status == 201
    another = {**watching, "sessionId": f"{video}-2"}
    assert (await person.post(f"/videos/{video}/view", another)).status == 201
    assert (await person.get(f"/videos/{video}")).data["views"] == 2
    wrong = await person.post(f"/videos/{video}/view", {"country": "Germany"})
    assert (wrong.status, set(wrong.fields)) == (400, {"country"})


async def test_figures_of_a_video_add_up(person: Person, other: Person, video: str) -> None:
    """SH-80, SH-84: totals for everybody, days for the owner."""
    for number, viewer in enumerate((person, other)):
        watching = {"sessionId": f"{video}{number}", "watchDuration": 10.0 + number}
        await viewer.post(f"/videos/{video}/view", watching)
        await viewer.post(f"/videos/{video}/like")
        person.saw(viewer.seen)
    figures = (await person.get(f"/analytics/video/{video}")).data
    assert (figures["views"], figures["uniqueViewers"], figures["likes"]) == (2, 2, 2)
    assert (figures["avgWatchDuration"], figures["totalWatchTime"]) == (10.5, 21.0)
    assert [day["views"] for day in figures["daily"]] == [2]
    other.saw(person.seen)
    assert (await other.get(f"/analytics/video/{video}")).data["daily"] is None


async def test_trends_show_what_is_watched(
    person: Person, video: str, backstage: Backstage
) -> None:
    """SH-40, SH-89, SH-136: the same scores as cards and as a scored list."""
    await backstage.let_trend(video, person)
    before = await _score(person, video)
    await person.post(f"/videos/{video}/share", {})
    await person.post(f"/videos/{video}/like")
    assert await _score(person, video) > before
    for window in ("hour", "day", "week"):
        cards = (await person.get("/videos/trending", window=window, limit=50)).data
        assert video in [card["id"] for card in cards]
    scored = (await person.get("/recommendations/trending", limit=50)).data
    assert [entry["score"] for entry in scored] == sorted(
        (entry["score"] for entry in scored), reverse=True
    )
    assert video in [entry["video"]["id"] for entry in scored]


async def _score(person: Person, video: str) -> float:
    scores = (await person.get("/analytics/trending", window="hour", limit=50)).data
    [score] = [row["score"] for row in scores if row["videoId"] == video]
    return float(score)


async def test_a_reader_with_the_token_sees_the_like_in_each_store(
    api: Api, person: Person, video: str, backstage: Backstage
) -> None:
    """PN-74: Postgres, Redis, ClickHouse and OpenSearch, at every try."""
    await backstage.let_trend(video, person)
    for number in range(TRIES):
        fan = await sign_up(api, "fan") if number < 3 else person
        wanted = await fan.post(f"/videos/{video}/like")
        if number >= 3:
            await fan.delete(f"/videos/{video}/like")
            wanted = await fan.post(f"/videos/{video}/like")
        assert wanted.status == 200
        person.saw(fan.seen)
        likes = (await person.get(f"/videos/{video}")).data["likes"]
        trending = (await person.get("/videos/trending", window="hour", limit=50)).data
        assert [card["likes"] for card in trending if card["id"] == video] == [likes]
        assert (await person.get(f"/analytics/video/{video}")).data["likes"] == likes
        hits = (await person.get("/search", q="", sort="-likes", limit=50)).data
        assert likes >= min(number + 1, 3)
        assert [card["likes"] for card in hits if card["id"] == video] in ([likes], [])


async def test_a_command_can_be_asked_for(person: Person, other: Person, video: str) -> None:
    """PN-74: the outcome of a command, to whoever sent it."""
    sent = await person.post(f"/videos/{video}/like")
    await person.get(f"/videos/{video}")

    async def look() -> Any:
        return (await person.get(f"/commands/{sent.command_id}")).data

    found = await eventually("the outcome", look, 20)
    assert (found["status"], found["type"], found["streamVersion"]) == (
        "accepted",
        "video.like.v1",
        1,
    )
    assert (await other.get(f"/commands/{sent.command_id}")).status == 404
