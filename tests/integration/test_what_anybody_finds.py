"""A video leaves every list, search and trend as soon as it may not be found any more."""

from __future__ import annotations

import pytest

from commands.videos import BlockVideo, UnblockVideo
from tests.support.api import Api, Person
from tests.support.videos import Backstage


async def _found(stranger: Api, seen: str, video: str, word: str) -> dict[str, bool]:
    """Say by which ways somebody without an account finds a video."""
    ways = {
        "list": f"/videos?ids={video}",
        "search": f"/search?q={word}",
        "search under videos": f"/videos/search?q={word}",
        "autocomplete": f"/search/autocomplete?q={word}",
        "trending": "/videos/trending?window=hour&limit=50",
        "scored": "/recommendations/trending?window=hour&limit=50",
        "scores": "/analytics/trending?window=hour&limit=50",
    }
    found = {}
    for way, path in ways.items():
        answer = await stranger.call("GET", path, seen=seen)
        assert answer.status == 200, answer
        found[way] = video in answer.body["data"].__repr__()
    body = {"q": word}
    posted = await stranger.call("POST", "/videos/search", body, seen=seen)
    found["search by body"] = video in posted.body["data"].__repr__()
    return found


async def _interesting(person: Person, backstage: Backstage) -> tuple[str, str]:
    """Return a public video that is trending, and a word of its title that no other has."""
    word = f"quokka{person.id[-8:]}"
    video = await backstage.ready_video(person, title=f"The {word}")
    await backstage.let_trend(video, person)
    return video, word


@pytest.mark.parametrize("fate", ["private", "unlisted", "deleted", "blocked"])
async def test_what_may_not_be_found_is_found_nowhere(
    api: Api, person: Person, backstage: Backstage, fate: str
) -> None:
    """SH-35, SH-40, SH-41, SH-42, SH-69, SH-70, SH-89: gone from all of them with the token."""
    video, word = await _interesting(person, backstage)
    before = await _found(api, person.seen, video, word)
    assert all(before.values()), before
    if fate == "deleted":
        assert (await person.delete(f"/videos/{video}")).status == 200
    elif fate == "blocked":
        await backstage.decide(BlockVideo(video_id=video, reason="nsfw"), person)
    else:
        assert (await person.put(f"/videos/{video}", {"visibility": fate})).status == 200
    after = await _found(api, person.seen, video, word)
    assert not any(after.values()), after
    direct = await api.call("GET", f"/videos/{video}", seen=person.seen)
    assert direct.status == (200 if fate == "unlisted" else 404)


async def test_what_is_given_back_is_found_again(
    api: Api, person: Person, backstage: Backstage
) -> None:
    """SH-42, SH-103: a reviewer's word undoes the block everywhere."""
    video, word = await _interesting(person, backstage)
    await backstage.decide(BlockVideo(video_id=video, reason="nsfw"), person)
    assert not any((await _found(api, person.seen, video, word)).values())
    await backstage.decide(UnblockVideo(video_id=video), person)
    assert all((await _found(api, person.seen, video, word)).values())
