"""Dead letters by hand: listed, shown, applied late and once, discarded."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis

from commands.comments import EditComment, LikeComment, PostComment
from commands.engagement import ShareVideo
from events import clock
from events.base import TopicPartition
from infra.dead_letters.retry import Applied, Retry
from infra.dead_letters.topic import read_letters
from projections.comments import COMMENT_THREADS
from projections.hot_counters import HOT_COUNTERS
from tests.support.api import Person
from tests.support.cli import cli
from tests.support.log import check_log, put_record, read_log
from tests.support.positions import settled
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually


@contextlib.asynccontextmanager
async def refused(backstage: Backstage, *comment_ids: str) -> AsyncIterator[None]:
    """Let PostgreSQL refuse the authors of comments for a while, as a wrong schema does."""
    pool, rule = backstage.core.pool, f"refused_{clock.new_id()[-12:]}"
    ids = ", ".join(f"'{comment_id}'" for comment_id in comment_ids)
    [live] = await backstage.core.builds.seen([COMMENT_THREADS])
    table = f"comments__{live.tag}"
    await pool.execute(
        f"ALTER TABLE {table} ADD CONSTRAINT {rule} CHECK (id NOT IN ({ids}) OR user_id IS NULL)"
    )
    try:
        yield
    finally:
        await pool.execute(f"ALTER TABLE {table} DROP CONSTRAINT {rule}")


async def letters_of(hub: StreamHub, *filters: str) -> list[dict[str, Any]]:
    done = await cli(hub, "deadletters", "list", *filters, "--json")
    assert done.code == 0, done
    found: list[dict[str, Any]] = done.data
    return found


async def row_of(backstage: Backstage, comment_id: str) -> dict[str, Any]:
    row = await backstage.core.pool.fetchrow("SELECT * FROM comments WHERE id = $1", comment_id)
    return dict(row) if row else {}


async def test_a_comment_is_applied_late_as_if_in_its_turn_and_once(
    streamhub: StreamHub, backstage: Backstage, person: Person, other: Person, public_video: str
) -> None:
    """What came after it stays as it is; what it adds is added once, however often it is tried."""
    core, text = backstage.core, f"put aside {clock.new_id()}"
    await core.keys.load([person.id, other.id])
    place = {"video_id": public_video, "comment_id": clock.new_id()}
    parent = {"video_id": public_video, "comment_id": clock.new_id()}
    await backstage.decide(PostComment(**parent, author_id=other.id, text="Well?"))
    async with refused(backstage, place["comment_id"]):
        reply = {**place, "parent_comment_id": parent["comment_id"]}
        await backstage.decide(PostComment(**reply, author_id=person.id, text=text))
        await backstage.decide(EditComment(**place, actor_id=person.id, text="Quite."))
        await backstage.decide(LikeComment(**place, user_id=other.id))
        await settled(core)
        [letter] = await letters_of(streamhub, "--reader", "comments", "--key", public_video)
        assert (letter["type"], letter["state"]) == ("comment.posted.v1", "open")
        again = await cli(streamhub, "deadletters", "retry", letter["letter"])
        assert (again.code, "STILL_INDIGESTIBLE" in again.errors) == (1, True)
    assert (await row_of(backstage, place["comment_id"]))["user_id"] is None
    shown = await cli(streamhub, "deadletters", "show", letter["letter"], "--json")
    assert "refused_" not in shown.output, "what the store said may quote the text"
    assert "CheckViolation" in shown.data["traceback"]
    assert text not in shown.output

    done = await cli(streamhub, "deadletters", "retry", "--key", public_video, "--json")
    assert (done.code, done.data[0]["result"]) == (0, "comments: applied"), done
    row = await row_of(backstage, place["comment_id"])
    assert (str(row["user_id"]), row["text"], row["is_edited"]) == (person.id, "Quite.", True)
    assert (row["like_count"], row["created_at"] is not None) == (1, True)
    assert (await row_of(backstage, parent["comment_id"]))["reply_count"] == 1

    desk = await read_letters(core.places.kafka)
    [known] = desk.named([letter["letter"]])
    assert await Retry(core, desk).apply(known) == {"comments": Applied.ALREADY}
    assert (await row_of(backstage, parent["comment_id"]))["reply_count"] == 1
    twice = await cli(streamhub, "deadletters", "retry", letter["letter"])
    assert (twice.code, "already" in twice.errors) == (1, True)
    check_log(await read_log(core.places.kafka))


async def test_letters_of_one_key_are_applied_oldest_first(
    streamhub: StreamHub, backstage: Backstage, person: Person, public_video: str
) -> None:
    await backstage.core.keys.load([person.id])
    ids = [clock.new_id(), clock.new_id()]
    async with refused(backstage, *ids):
        for comment_id in ids:
            place = {"video_id": public_video, "comment_id": comment_id}
            await backstage.decide(PostComment(**place, author_id=person.id, text="Well."))
        await settled(backstage.core)
    older, newer = await letters_of(streamhub, "--type", "comment.posted", "--since", "10m")
    early = await cli(streamhub, "deadletters", "retry", newer["letter"])
    assert (early.code, "OLDER_LETTER_OPEN" in early.errors) == (1, True)
    both = await cli(streamhub, "deadletters", "retry", newer["letter"], older["letter"], "--json")
    assert [(done["letter"], done["state"]) for done in both.data] == [
        (older["letter"], "retried"),
        (newer["letter"], "retried"),
    ]
    for comment_id in ids:
        assert (await row_of(backstage, comment_id))["text"] == "Well."
    assert not await letters_of(streamhub, "--key", public_video)


async def test_what_never_was_an_event_is_let_go(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    """It fails again, as long as it is tried; discarded it stays, and says why."""
    core, key = backstage.core, clock.new_id()
    place = TopicPartition("events.engagement", 1)
    await put_record(core.places.kafka, place, key, b"no json", [("ce_type", b"video.liked.v1")])
    await settled(core)
    found = await letters_of(streamhub, "--key", key)
    assert {letter["reader"] for letter in found} == {
        f"projections-{store}" for store in ("postgres", "redis", "clickhouse", "opensearch")
    }
    again = await cli(streamhub, "deadletters", "retry", "--key", key)
    assert (again.code, again.errors.count("STILL_INDIGESTIBLE")) == (1, len(found))
    assert len(await letters_of(streamhub, "--key", key)) == len(found)
    why = "a test of ours"
    done = await cli(streamhub, "deadletters", "discard", "--key", key, "--because", why)
    assert done.code == 0, done
    assert not await letters_of(streamhub, "--key", key)
    gone = await letters_of(streamhub, "--state", "discarded", "--key", key)
    assert [letter["decidedBecause"] for letter in gone] == [why] * len(found)


async def test_a_counter_in_redis_is_added_to_late_and_once(
    streamhub: StreamHub, backstage: Backstage, person: Person
) -> None:
    core, video = backstage.core, await backstage.ready_video(person)
    await settled(core)
    [live] = await core.builds.seen([HOT_COUNTERS])
    key = f"{core.settings.namespace}hot_counters:{live.tag}:counters:{video}"
    redis: Any = Redis.from_url(core.places.redis, decode_responses=True)
    share = ShareVideo(video_id=video, creator_id=person.id, user_id=None, channel="link")
    async with redis:
        await redis.set(key, "no hash")
        await backstage.decide(share)
        await settled(core)
        await redis.delete(key)
        await backstage.decide(share)
        await settled(core)
        assert (await redis.hgetall(key)) == {"shares": "1"}
        [letter] = await letters_of(streamhub, "--reader", "hot_counters", "--key", video)
        done = await cli(streamhub, "deadletters", "retry", letter["letter"], "--json")
        assert done.code == 0, done
        assert (await redis.hgetall(key)) == {"shares": "2"}
        desk = await read_letters(core.places.kafka)
        await Retry(core, desk).apply(desk.named([letter["letter"]])[0])
        assert (await redis.hgetall(key)) == {"shares": "2"}


async def test_a_command_is_put_back_and_judged_anew(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    """What is still no command is a dead letter again, and the first one is done with."""
    core, key = backstage.core, clock.new_id()
    place = TopicPartition("commands.follows", 0)
    await put_record(
        core.places.kafka, place, key, b"no command", [("command_type", b"user.hug.v1")]
    )

    async def buried() -> list[dict[str, Any]]:
        return await letters_of(streamhub, "--reader", "commands", "--key", key)

    [first] = await eventually("the dead letter", buried)
    assert first["type"] == "user.hug.v1"
    assert (await cli(streamhub, "deadletters", "retry", first["letter"])).code == 0

    async def buried_again() -> bool:
        return {letter["letter"] for letter in await buried()}.isdisjoint({first["letter"]}) and (
            len(await buried()) == 1
        )

    await eventually("the next dead letter", buried_again)


async def test_wrong_usage_is_told_from_what_is_not_there(streamhub: StreamHub) -> None:
    assert (await cli(streamhub, "deadletters", "retry")).code == 2
    assert (await cli(streamhub, "deadletters", "list", "--since", "yesterday")).code == 2
    assert (await cli(streamhub, "deadletters", "list", "--state", "lost")).code == 2
    missing = await cli(streamhub, "deadletters", "show", "0:999999")
    assert (missing.code, missing.errors.count("\n")) == (1, 1)
