"""A key of which a record cannot be digested waits, and is released in its turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from commands.follows import FollowUser, UnfollowUser
from events import clock
from infra.bootstrap.core import Core
from infra.dead_letters.topic import read_letters
from projections.followers import FOLLOWERS
from tests.support.cli import cli
from tests.support.positions import settled
from tests.support.streamhub import PROJECTIONS, StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually

_PAUSE_S = 0.1

Letters = list[dict[str, Any]]


class Follower:
    """Somebody who follows and unfollows; nobody need know them."""

    def __init__(self, backstage: Backstage) -> None:
        self.id = clock.new_id()
        self._backstage = backstage

    async def follow(self, *creator_ids: str) -> None:
        for creator_id in creator_ids:
            await self._backstage.decide(FollowUser(follower_id=self.id, creator_id=creator_id))

    async def unfollow(self, creator_id: str) -> None:
        await self._backstage.decide(UnfollowUser(follower_id=self.id, creator_id=creator_id))

    async def followed(self) -> set[str]:
        """Return whom they follow, as readers see it."""
        rows = await self._backstage.core.pool.fetch(
            "SELECT creator_id FROM subscriptions WHERE subscriber_id = $1", self.id
        )
        return {str(row["creator_id"]) for row in rows}


def some_ids(count: int) -> Sequence[str]:
    return [clock.new_id() for _ in range(count)]


@contextlib.asynccontextmanager
async def refused(core: Core, creator_id: str) -> AsyncIterator[None]:
    """Let PostgreSQL refuse one creator for a while, as a wrong schema does."""
    [live] = await core.builds.seen([FOLLOWERS])
    table, rule = f"subscriptions__{live.tag}", f"refused_{clock.new_id()[-12:]}"
    await core.pool.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT {rule} CHECK (creator_id <> '{creator_id}') NOT VALID"
    )
    try:
        yield
    finally:
        await core.pool.execute(f"ALTER TABLE {table} DROP CONSTRAINT {rule}")


async def letters_of(hub: StreamHub, follower: Follower) -> Letters:
    done = await cli(hub, "deadletters", "list", "--key", follower.id, "--json")
    assert done.code == 0, done
    found: Letters = done.data
    return found


async def parked(core: Core, follower: Follower) -> bool:
    keys = await core.parking.keys(await core.builds.seen([FOLLOWERS]))
    return follower.id in {key.key for key in keys}


async def verified(hub: StreamHub) -> None:
    done = await cli(hub, "projections", "verify", "followers", "--json")
    assert done.code == 0, done


async def test_the_rest_of_a_key_waits_through_a_kill_and_is_released_in_order(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    core, follower, other = backstage.core, Follower(backstage), Follower(backstage)
    early, bad, late, last = some_ids(4)
    await follower.follow(early)
    async with refused(core, bad):
        await follower.follow(bad)
        await follower.unfollow(early)
        await other.follow(early)
        await settled(core)
        killed = streamhub.kill(PROJECTIONS)
        await follower.follow(late, early)
        await streamhub.wait_ready(PROJECTIONS, but_not=killed)
        await other.follow(late)
        await follower.unfollow(bad)
        await settled(core)
    assert await follower.followed() == {early}
    assert await other.followed() == {early, late}
    letters = await letters_of(streamhub, follower)
    reasons = [letter["reason"].partition(":")[0] for letter in letters]
    assert reasons == ["CheckViolationError", "Parked", "Parked", "Parked", "Parked"]
    assert all(letter["parked"] == ["followers"] for letter in letters)
    place = "{topic}/{partition}/{offset}".format_map(letters[0])
    assert all(place in letter["reason"] for letter in letters[1:])
    status = await cli(streamhub, "projections", "status", "--json")
    assert sum(row["parkedKeys"] for row in status.data if row["projection"] == "followers") == 1

    early_try = await cli(streamhub, "deadletters", "retry", letters[1]["letter"])
    assert (early_try.code, "OLDER_LETTER_OPEN" in early_try.errors) == (1, True)
    words = ["--key", follower.id, "--error", "CheckViolation", "--json"]
    done = await cli(streamhub, "deadletters", "retry", *words)
    assert done.code == 0, done
    assert [row["letter"] for row in done.data] == [*(each["letter"] for each in letters), None]
    assert done.data[-1]["state"] == "released"
    assert await follower.followed() == {early, late}
    assert not await parked(core, follower)

    await follower.follow(last)
    await settled(core)
    assert await follower.followed() == {early, late, last}
    assert not await letters_of(streamhub, follower)
    await verified(streamhub)


async def test_what_comes_during_a_retry_is_neither_lost_nor_early(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    """Records keep coming while the letters are retried and the key is released."""
    core, follower = backstage.core, Follower(backstage)
    first, steady = some_ids(2)
    expected: set[str] = {first}
    async with refused(core, first):
        await follower.follow(first)
        await settled(core)
    retry = asyncio.create_task(cli(streamhub, "deadletters", "retry", "--key", follower.id))
    turns = 0
    while not retry.done() or turns < 10:
        # As fast as it goes would be faster than letters are retried.
        await asyncio.sleep(_PAUSE_S)
        await follower.follow(steady)
        creator_id = clock.new_id()
        expected.add(creator_id)
        await follower.follow(creator_id)
        await follower.unfollow(steady)
        turns += 1
    done = await retry
    assert done.code == 0, done.errors[:1000]
    await settled(core)
    assert await follower.followed() == expected
    assert not await letters_of(streamhub, follower)
    assert not await parked(core, follower)
    await verified(streamhub)


async def test_a_discarded_letter_leaves_what_waits_behind_it_waiting(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    core, follower = backstage.core, Follower(backstage)
    bad, sound, next_one = some_ids(3)
    async with refused(core, bad):
        await follower.follow(bad, sound)
        await settled(core)
    first, _ = await letters_of(streamhub, follower)
    words = [first["letter"], "--because", "a test of ours", "--json"]
    done = await cli(streamhub, "deadletters", "discard", *words)
    assert [row["state"] for row in done.data] == ["discarded"]
    await follower.follow(next_one)
    await settled(core)
    assert await follower.followed() == set()
    assert len(await letters_of(streamhub, follower)) == 2
    done = await cli(streamhub, "deadletters", "retry", "--key", follower.id, "--json")
    assert [row["state"] for row in done.data] == ["retried", "retried", "released"]
    assert await follower.followed() == {sound, next_one}
    everything = await cli(streamhub, "deadletters", "list", "--key", follower.id)
    assert "0 keys wait" in everything.output


async def test_whoever_dies_before_a_key_is_released_leaves_word(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    """The last letter is decided and the key still noted: the worker's next life looks it up."""
    core, follower = backstage.core, Follower(backstage)
    bad, sound = some_ids(2)
    async with refused(core, bad):
        await follower.follow(bad)
        await settled(core)
    [letter] = await letters_of(streamhub, follower)
    desk = await read_letters(core.places.kafka)
    [found] = desk.named([letter["letter"]])
    await core.parking.doubt(await core.builds.seen([FOLLOWERS]), [found])
    await desk.decide(found, found.state.DISCARDED, "and then it died")
    await desk.close()
    assert await parked(core, follower)
    killed = streamhub.kill(PROJECTIONS)
    await streamhub.wait_ready(PROJECTIONS, but_not=killed)

    async def forgotten() -> bool:
        return not await parked(core, follower)

    await eventually("the key forgotten", forgotten)
    await follower.follow(sound)
    await settled(core)
    assert await follower.followed() == {sound}


async def test_a_rebuild_has_keys_of_its_own_and_is_not_fed_with_letters_of_another(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    core, follower = backstage.core, Follower(backstage)
    bad, sound, later = some_ids(3)
    async with refused(core, bad):
        await follower.follow(bad, sound)
        await settled(core)
    differs = await cli(streamhub, "projections", "rebuild", "followers", "--json")
    assert (differs.code, "BUILDS_DIFFER" in differs.errors) == (1, True)
    words = ["projections", "rebuild", "followers", "--no-verify", "--json"]
    done = await cli(streamhub, *words)
    assert done.code == 0, done
    assert await follower.followed() == {bad, sound}
    assert not await parked(core, follower)
    await follower.unfollow(bad)
    await follower.follow(later)
    await settled(core)
    assert await follower.followed() == {sound, later}
    stale = await cli(streamhub, "deadletters", "retry", "--key", follower.id, "--json")
    assert [row["result"] for row in stale.data] == ["followers: applied before"] * 2
    assert await follower.followed() == {sound, later}
    await verified(streamhub)
    await cli(streamhub, "projections", "prune", "followers")
    assert not await core.pool.fetchval(
        "SELECT count(*) FROM parked_keys WHERE key = $1", follower.id
    )


async def test_a_build_whose_letters_were_decided_for_another_is_not_switched_to(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    """What it lacks could never be retried."""
    core, follower = backstage.core, Follower(backstage)
    [bad] = some_ids(1)
    async with refused(core, bad):
        await follower.follow(bad)
        await settled(core)
    [letter] = await letters_of(streamhub, follower)
    rebuild = ("projections", "rebuild", "followers", "--no-verify")
    assert (await cli(streamhub, *rebuild, "--no-switch")).code == 0
    target, begun = await core.builds.begin(FOLLOWERS)
    assert begun
    [found] = (await read_letters(core.places.kafka)).named([letter["letter"]])
    await core.parking.park(target, found.record)
    assert (await cli(streamhub, "deadletters", "retry", letter["letter"])).code == 0
    done = await cli(streamhub, *rebuild)
    assert (done.code, "BUILD_PARKED" in done.errors) == (1, True)
    assert (await cli(streamhub, *rebuild, "--fresh")).code == 0
    assert await follower.followed() == {bad}
    assert not await core.parking.keys([target])
    await cli(streamhub, "projections", "prune", "followers")
