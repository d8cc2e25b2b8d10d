"""The wall clocks of processes jump by hours, each for itself, while clients are at work."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from infra.native.catalogue import SERVERS
from infra.native.stack import NativeStack
from infra.settings import Settings
from tests.faults.rounds import SEEDS, under_load
from tests.support.api import Api, Person, sign_up
from tests.support.clocks import jumping
from tests.support.log import read_log
from tests.support.positions import settled
from tests.support.stores import check_everything
from tests.support.streamhub import API, COMMANDS, PROCESSORS, PROJECTIONS, StreamHub
from tests.support.videos import Backstage, open_backstage
from tests.support.waiting import eventually
from tests.support.workload import Workload
from tests.support.world import TREND_WEIGHTS, epoch_s

_HOUR_S = 3600.0
_JUMPS = (0.1, 0.25, 0.4, 0.55, 0.7)
#: Nobody in the load signs in again; before their tokens have expired the clock must be back.
_API_FORWARD_S = 300.0
#: So many that the video is among the first of its day.
_SHARES = 5
_USE = re.compile(r"r=(\d+);t=(\d+)")
_WINDOW = re.compile(r"w=(\d+)")
_LAG = re.compile(r"^projection_lag_seconds{.*} (\S+)$", re.MULTILINE)
#: From here requests count towards the limits.
_LIMITED = "127.128.0.7"


#: A StreamHub, a client without an account, and the log and the stores from inside.
Alone = tuple[StreamHub, Api, Backstage]


@pytest_asyncio.fixture
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Alone]:
    """A StreamHub of its own: films of a day to come would stay the newest of all tests' films."""
    cache = Settings().cache_dir
    stack = NativeStack(tmp_path_factory.mktemp("servers"), cache, ports="free")
    try:
        urls = await asyncio.to_thread(stack.up, SERVERS, lambda *_: None)
        hub = StreamHub(urls, tmp_path_factory.mktemp("streamhub"), cache)
        try:
            await hub.start()
            async with Api(hub.url) as api, open_backstage(hub.settings) as backstage:
                await eventually("a first sign-up", lambda: sign_up(api), 60.0)
                yield hub, api, backstage
        finally:
            hub.shutdown()
    finally:
        await asyncio.to_thread(stack.down)


@pytest.mark.parametrize("seed", SEEDS)
async def test_clocks_that_jump_break_nothing(alone: Alone, tmp_path: Path, seed: int) -> None:
    """W4, W5, R1, R5, R6: order, tokens, retries, lag, limits, trends and sessions hold."""
    streamhub, api, backstage = alone
    choice = random.Random(seed)
    begun_s = time.time()
    async with jumping(streamhub, tmp_path) as clocks:

        async def jump(workload: Workload) -> None:
            for share in _JUMPS:
                await workload.reached(share)
                for name in (COMMANDS, PROJECTIONS, PROCESSORS):
                    clocks.jump(name, choice.uniform(-6, 6) * _HOUR_S)
                clocks.jump(API, choice.uniform(-6 * _HOUR_S, _API_FORWARD_S))
                await _lag_is_no_time_to_come(api)
            clocks.jump(API, -3 * _HOUR_S)
            # Object storage refuses whoever is more than a quarter of an hour wrong.
            clocks.jump(PROCESSORS, 0.0)

        await under_load(streamhub, api, backstage, seed, jump)
        log = await read_log(backstage.core.places.kafka)
        times = [epoch_s(entry.time) for entry in log.events]
        assert min(times) < begun_s - _HOUR_S, "no clock jumped"

        clocks.jump(API, 6 * _HOUR_S)
        ahead = await _a_day(api, backstage)
        await _limits_hold(streamhub)
        clocks.jump(API, -6 * _HOUR_S)
        await _a_day(api, backstage)
        await _limits_hold(streamhub)
        clocks.jump(API, 0.0)
        # The process that knew the token is gone.
        before = streamhub.kill(API)
        await streamhub.wait_ready(API, but_not=before)
        known = await ahead.get(f"/users/{ahead.id}")
        assert known.status == 200, "a token from a clock that was ahead is refused"
        await settled(backstage.core)
        await check_everything(backstage.core)


async def _lag_is_no_time_to_come(api: Api) -> None:
    shown = (await api.raw("GET", "/metrics")).text
    seconds = [float(found) for found in _LAG.findall(shown)]
    assert seconds
    assert min(seconds) >= 0.0


async def _a_day(api: Api, backstage: Backstage) -> Person:
    """Live through what depends on the time of day; return who did."""
    person = await sign_up(api)
    video = await backstage.ready_video(person)
    first, again = [await person.post(f"/videos/{video}/like", key="once") for _ in range(2)]
    assert (first.status, again.status) == (200, 200), (first, again)
    assert first.command_id == again.command_id
    shown = await person.get(f"/videos/{video}")
    assert shown.data["likes"] == 1, shown
    for _ in range(_SHARES):
        assert (await person.post(f"/videos/{video}/share")).status in {200, 201}
    trends = await person.get("/analytics/trending", window="day", limit=50)
    [score] = [row["score"] for row in trends.data if row["videoId"] == video]
    fresh = TREND_WEIGHTS["video.liked"] + _SHARES * TREND_WEIGHTS["video.shared"]
    assert 0.9 * fresh < score <= fresh
    return person


async def _limits_hold(streamhub: StreamHub) -> None:
    """Two requests count as two, in a window that ends in its time."""
    left = []
    async with Api(streamhub.url, source=_LIMITED) as limited:
        for _ in range(2):
            answer = await limited.call("GET", "/videos/trending")
            assert answer.status == 200, answer
            [(remaining, resets_s)] = _USE.findall(answer.headers["ratelimit"])
            [window_s] = _WINDOW.findall(answer.headers["ratelimit-policy"])
            assert 0 <= int(resets_s) <= int(window_s)
            left.append(int(remaining))
    assert left[1] == left[0] - 1
