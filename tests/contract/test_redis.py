"""What only Redis does: folded commands, published keys, expiry, trends made while reading."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from events import clock
from events.base import Event, Recorded, TopicPartition
from events.engagement import VideoLiked, VideoUnliked
from events.sessions import RevocationReason, SessionRevoked, SessionStarted
from events.users import Role
from infra.http.rate_limits import Limit
from infra.redis.commands import commands_of
from infra.redis.connection import connect
from infra.redis.limiter import RedisLimiter
from infra.redis.reader import RedisCounters, RedisRevocations
from infra.redis.sink import RedisSink
from projections.declaration import Projection, Put, RedisCommand
from projections.ports import Move, Step
from projections.sessions import SESSIONS
from projections.trending import TRENDING, WINDOWS, Window
from tests.conftest import Servers
from tests.contract.history import liked, some_videos, unliked, viewed
from tests.unit.events.known import ADA, metadata_of

SOURCE = TopicPartition("events.sessions", 0)


class Place:
    """A namespace of the test's own, with everything that reads and writes it."""

    def __init__(self, url: str) -> None:
        self.namespace = f"t{uuid.uuid4().hex[:12]}:"
        self.redis: Redis = connect(url)
        self.sink = RedisSink(url, self.namespace)
        self.counters = RedisCounters(url, self.namespace)
        self.revocations = RedisRevocations(url, self.namespace)
        self._next = 0

    async def apply(self, projection: Projection, *events: Recorded) -> None:
        changes = [change for recorded in events for change in projection.evolve(recorded)]
        before, self._next = self._next, self._next + 1
        await self.sink.apply([Step(SOURCE, [Move(projection, before, self._next, changes)])])

    async def keys(self, pattern: str) -> set[str]:
        """Return the keys of this place that match, without its namespace."""
        found = await self.redis.keys(self.namespace + pattern)
        return {str(key).removeprefix(self.namespace) for key in found}

    async def close(self) -> None:
        async for key in self.redis.scan_iter(f"{self.namespace}*", count=1000):
            await self.redis.unlink(key)
        for opened in (self.sink, self.counters, self.revocations):
            await opened.close()
        await self.redis.aclose()


@pytest_asyncio.fixture
async def place(servers: Servers) -> AsyncIterator[Place]:
    opened = Place(servers["redis"])
    await opened.sink.prepare([SESSIONS, TRENDING])
    yield opened
    await opened.close()


def happened(event: Event, ago_s: float = 0.0) -> Recorded:
    at = clock.now() - timedelta(seconds=ago_s)
    return Recorded(event, metadata_of(event, at=at), SOURCE, 0, "key")


def started(session_id: str, life: timedelta = timedelta(hours=1)) -> SessionStarted:
    return SessionStarted(
        session_id=session_id,
        user_id=ADA,
        role=Role.VIEWER,
        device="phone",
        ip_address="192.0.2.1",
        expires_at=clock.now() + life,
    )


def revoked(session_id: str, life: timedelta = timedelta(hours=1)) -> SessionRevoked:
    return SessionRevoked(
        session_id=session_id,
        user_id=ADA,
        reason=RevocationReason.LOGOUT,
        expires_at=clock.now() + life,
    )


async def test_a_session_is_published_under_its_fixed_name_until_it_ends(place: Place) -> None:
    session_id = clock.new_id()
    await place.apply(SESSIONS, happened(started(session_id)))
    published = f"{place.namespace}session:{session_id}"
    fields = await place.redis.hgetall(published)
    assert set(fields) == {"userId", "device", "role", "expiresAt"}
    assert fields["userId"] == ADA
    assert 3_500 < await place.redis.ttl(published) <= 3_600


async def test_a_session_that_has_ended_leaves_nothing(place: Place) -> None:
    session_id = clock.new_id()
    past = timedelta(seconds=-1)
    await place.apply(
        SESSIONS, happened(started(session_id, past)), happened(revoked(session_id, past))
    )
    assert await place.keys("*session:*") == set()
    assert not await place.revocations.is_revoked(session_id)


async def test_a_revoked_session_is_known_until_it_would_have_ended(place: Place) -> None:
    session_id = clock.new_id()
    await place.apply(SESSIONS, happened(started(session_id)))
    assert not await place.revocations.is_revoked(session_id)
    await place.apply(SESSIONS, happened(revoked(session_id)))
    assert await place.revocations.is_revoked(session_id)
    assert await place.keys("session:*") == set()
    assert 3_500 < await place.redis.ttl(f"{place.namespace}revoked:{session_id}") <= 3_600


async def test_a_version_that_is_not_live_is_built_unseen(place: Place) -> None:
    session_id = clock.new_id()
    next_version = replace(SESSIONS, version=2)
    await place.sink.prepare([next_version])
    await place.apply(next_version, happened(started(session_id)))
    assert await place.keys("session:*") == set()
    assert await place.keys("sessions:v2:session:*") == {f"sessions:v2:session:{session_id}"}


async def trend(
    place: Place, window: Window, now_s: float, age_ms_max: int = -1
) -> dict[str, float]:
    flat = await place.counters.script(
        "trending",
        ["trending:live", f"trending:{window.name}"],
        [
            window.buckets.family,
            now_s,
            window.buckets.width_s,
            window.span_s,
            window.half_life_s,
            age_ms_max,
            600_000,
            0,
            9,
        ],
    )
    return {video: float(score) for video, score in zip(flat[::2], flat[1::2], strict=True)}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=lambda window: window.name)
async def test_interest_halves_with_the_half_life_and_ends_with_the_window(
    place: Place, window: Window
) -> None:
    fresh, older, gone = some_videos(3)
    now_s = window.buckets.start(time.time()) + window.buckets.width_s / 2
    ago = {fresh: 0.0, older: window.half_life_s, gone: window.span_s + window.buckets.width_s}
    events = [
        Recorded(event, metadata_of(event, at=clock.from_text(_text(now_s - s))), SOURCE, 0, "key")
        for event, s in ((viewed(video), seconds) for video, seconds in ago.items())
    ]
    await place.apply(TRENDING, *events)
    scores = await trend(place, window, now_s)
    assert list(scores) == [fresh, older]
    assert scores[fresh] == pytest.approx(1.0, rel=1e-6)
    assert scores[older] == pytest.approx(0.5, rel=0.01)


def _text(moment_s: float) -> str:
    return clock.to_text(clock.now() + timedelta(seconds=moment_s - time.time()))


async def test_a_step_with_a_key_of_another_kind_changes_nothing(place: Place) -> None:
    """Redis cannot take commands back, so a refused step may not have begun."""
    counts, clash = "hot:video:1", "hot:video:2"
    move = [RedisCommand(("HINCRBY", key, "likes", 1)) for key in (counts, clash)]
    prefix = f"{place.namespace}{TRENDING.name}:{TRENDING.tag}:"
    await place.redis.set(prefix + clash, "not a hash")
    step = Step(SOURCE, [Move(TRENDING, 0, 1, move)])
    with pytest.raises(ResponseError, match="HINCRBY meets a string"):
        await place.sink.apply([step])
    assert await place.redis.hgetall(prefix + counts) == {}
    assert (await place.sink.positions([TRENDING]))[TRENDING.name] == {}
    mended = [RedisCommand(("DEL", clash)), *move]
    await place.sink.apply([Step(SOURCE, [Move(TRENDING, 0, 1, mended)])])
    for key in (counts, clash):
        assert await place.redis.hgetall(prefix + key) == {"likes": "1"}


async def test_likes_taken_back_leave_no_trend(place: Place) -> None:
    liked_still, liked_no_more = some_videos(2)
    events: list[VideoLiked | VideoUnliked] = [
        liked(liked_still),
        liked(liked_no_more),
        unliked(liked_no_more),
    ]
    await place.apply(TRENDING, *map(happened, events))
    assert list(await trend(place, WINDOWS["day"], time.time())) == [liked_still]


async def test_a_trend_is_made_again_when_it_is_too_old(place: Place) -> None:
    window = WINDOWS["hour"]
    first, second = some_videos(2)
    await place.apply(TRENDING, happened(viewed(first)))
    assert list(await trend(place, window, time.time())) == [first]
    await place.apply(TRENDING, *(happened(viewed(second)) for _ in range(2)))
    assert list(await trend(place, window, time.time(), age_ms_max=60_000)) == [first]
    assert list(await trend(place, window, time.time())) == [second, first]
    assert 595 < await place.redis.ttl(f"{place.namespace}trending:hour") <= 600


async def test_an_event_older_than_every_window_leaves_no_bucket(place: Place) -> None:
    (video,) = some_videos(1)
    await place.apply(TRENDING, happened(viewed(video), ago_s=9 * 86_400))
    assert await place.keys("trending:v1:[mh]*") == set()


@pytest.mark.parametrize("seed", range(5))
async def test_folded_commands_mean_what_the_commands_mean(place: Place, seed: int) -> None:
    chance = random.Random(seed)
    far = int(time.time() * 1000) + 10_000_000
    commands = [command for _ in range(300) for command in _some_commands(chance, far)]
    for where, words in (
        ("plain:", [[str(word) for word in command] for command in commands]),
        ("folded:", commands_of([RedisCommand(command) for command in commands])),
    ):
        for name, key, *rest in words:
            await _execute(place.redis, name, place.namespace + where + key, *rest)
    assert await _contents(place, "plain:") == await _contents(place, "folded:")


async def _execute(redis: Any, *words: str) -> None:
    await redis.execute_command(*words)


def _some_commands(chance: random.Random, far: int) -> list[tuple[str | int, ...]]:
    """Return a removal, or an increment that an expiry may follow."""
    kind, number = chance.choice("hzi"), chance.randrange(3)
    key, amount, draw = f"{kind}{number}", chance.randrange(-3, 4), chance.random()
    if draw < 0.1:
        return [("DEL", key)]
    increments: dict[str, tuple[str | int, ...]] = {
        "h": ("HINCRBY", key, chance.choice("ab"), amount),
        "z": ("ZINCRBY", key, amount, chance.choice("ab")),
        "i": ("INCRBY", key, amount),
    }
    expiry = [("PEXPIREAT", key, far + number)] if draw < 0.5 else []
    return [increments[kind], *expiry]


async def _contents(place: Place, where: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for key in await place.keys(f"{where}*"):
        full, bare = place.namespace + key, key.removeprefix(where)
        if bare.startswith("h"):
            found[bare] = await place.redis.hgetall(full)
        elif bare.startswith("z"):
            found[bare] = await place.redis.zrange(full, 0, -1, withscores=True)
        else:
            found[bare] = await place.redis.get(full)
        found[f"{bare} expires"] = await place.redis.pttl(full) > 0
    return found


async def test_a_change_that_is_no_command_is_a_fault() -> None:
    with pytest.raises(TypeError, match="Put is not a command of Redis"):
        commands_of([Put("table", ("key",), {})])


async def test_clients_are_forgotten_in_all_their_places_and_nobody_else_is(
    place: Place, servers: Servers
) -> None:
    """Addresses that begin alike are others; what a pattern could mean stands for itself."""
    limiter = RedisLimiter(servers["redis"], place.namespace)
    once = Limit("once", 1, 60, 60)
    clients = ("10.0.0.1", "10.0.0.11", "110.0.0.1", "2001:db8::1", "2001:db8::1:2", "10.0.0.*")
    for client in clients:
        for where in ("read", "/api/v1/videos/1/like", "read"):
            await limiter.count(once, client, where)
    before = await place.keys("ratelimit:*")
    assert len(before) == 3 * len(clients), "two counters and a block of each"
    try:
        await limiter.forget([])
        assert await place.keys("ratelimit:*") == before
        await limiter.forget(["10.0.0.1", "2001:db8::1", "10.0.0.*"])
    finally:
        await limiter.close()
    left = await place.keys("ratelimit:*")
    kept = ("10.0.0.11", "110.0.0.1", "2001:db8::1:2")
    assert left == {key for key in before if any(f"{{{client}}}" in key for client in kept)}
    assert len(left) == 3 * len(kept)
