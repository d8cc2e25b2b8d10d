"""A read store is restored from an old backup, or holds what the log does not."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from events.base import TopicPartition
from infra.bootstrap.core import Core
from infra.freshness import PositionWaiter, ProjectionBehind
from infra.kafka.ends import LogEnds
from infra.live_builds import LiveBuilds
from projections.hot_counters import HOT_COUNTERS
from projections.ports import Move, Step
from projections.video_index import VIDEO_INDEX
from projections.viewing import VIEWING
from projections.watch_page import WATCH_PAGE
from schemas.http import consistency
from tests.conftest import Servers
from tests.contract.history import viewed
from tests.faults.rounds import SEEDS, under_load
from tests.support.api import Api, Person
from tests.support.operators import Ended, operate
from tests.support.positions import settled
from tests.support.restoring import Backup
from tests.support.stores import check_everything
from tests.support.streamhub import COMMANDS, PROCESSORS, PROJECTIONS, StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually
from tests.support.workload import Workload
from tests.unit.events.known import recorded

#: One of each store; all of them read views.
_STRANGERS = (WATCH_PAGE, HOT_COUNTERS, VIEWING, VIDEO_INDEX)
_NAMES = sorted(projection.name for projection in _STRANGERS)
_AHEAD = 5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["postgres", "redis", "clickhouse", "opensearch"])
async def test_a_store_that_went_back_catches_up_by_itself(
    streamhub: StreamHub,
    servers: Servers,
    api: Api,
    backstage: Backstage,
    tmp_path: Path,
    name: str,
    seed: int,
) -> None:
    """R1, R2: restored under load, then once more when no event comes that could show it."""
    choice = random.Random(f"{name}/{seed}")
    backup = Backup(servers, name, tmp_path)

    async def go_back(workload: Workload) -> None:
        await workload.reached(choice.uniform(0.05, 0.3))
        await asyncio.to_thread(backup.take)
        await workload.reached(choice.uniform(0.4, 0.8))
        await asyncio.to_thread(backup.restore)

    await under_load(streamhub, api, backstage, seed, go_back)
    before = streamhub.pid(PROJECTIONS)
    await asyncio.to_thread(backup.restore)
    await settled(backstage.core, 120.0)
    await check_everything(backstage.core)
    await streamhub.wait_ready(PROJECTIONS, but_not=before)


async def _view(person: Person, video: str) -> TopicPartition:
    """Watch a video; return the partition that holds it."""
    answer = await person.post(f"/videos/{video}/view", {"sessionId": "s", "watchDuration": 1})
    assert answer.status in {200, 201}, answer
    [partition] = {p for domain, p in consistency.decode(answer.token) if domain == "engagement"}
    return TopicPartition("events.engagement", partition)


async def _fill_from_elsewhere(core: Core, source: TopicPartition, video: str) -> None:
    """Have each store hold views that were never in this log, as of another installation's."""
    for live in await core.builds.seen(_STRANGERS):
        sink = next(sink for sink in core.sinks if sink.store is live.store)
        at = (await sink.positions([live]))[live.name][source]
        changes = [c for n in range(_AHEAD) for c in live.evolve(recorded(viewed(video), at + n))]
        await sink.apply([Step(source, [Move(live, at, at + _AHEAD, changes)])])


async def _status(hub: StreamHub) -> tuple[Ended, list[str]]:
    ended = await operate(hub, "projections", "status", "--json")
    return ended, sorted({row["projection"] for row in ended.data if row["refused"]})


async def test_a_store_ahead_of_the_log_is_refused_until_it_is_built_anew(
    streamhub: StreamHub, person: Person, other: Person, backstage: Backstage, video: str
) -> None:
    """R2, R5, R6: found by itself, told everywhere, however long the log is by then."""
    core = backstage.core
    source = await _view(person, video)
    await settled(core)
    streamhub.stop(PROJECTIONS)
    try:
        await _fill_from_elsewhere(core, source, video)
        assert (await _status(streamhub))[1] == _NAMES
        verified = await operate(streamhub, "log", "verify", "--json")
        assert verified.code == 1
        assert verified.data["findingsByRule"]["position"] == len(_NAMES)
    finally:
        streamhub.restart(PROJECTIONS)

    async def noted() -> bool:
        return set(await core.builds.ahead()) == set(_NAMES)

    await eventually("the strangers noted", noted, 60.0)
    for _ in range(2 * _AHEAD):
        await _view(person, video)
    before = streamhub.kill(PROJECTIONS)
    await streamhub.wait_ready(PROJECTIONS, but_not=before)
    await other.post(f"/users/{person.id}/follow")
    shown = await other.get(f"/users/{person.id}/followers")
    assert [row["id"] for row in shown.data] == [other.id], "the others do not go on"
    ended, refused = await _status(streamhub)
    assert (ended.code, refused) == (1, _NAMES)
    assert "projections rebuild --fresh" in ended.complaint
    compared = await operate(streamhub, "projections", "verify", WATCH_PAGE.name)
    assert (compared.code, "STORE_AHEAD" in compared.complaint) == (1, True), compared
    await _no_token_is_believed(core, source)

    built = await operate(streamhub, "projections", "rebuild", "--fresh", *_NAMES)
    assert built.code == 0, built.complaint
    await settled(core)
    await check_everything(core)
    assert (await _status(streamhub))[0].code == 0
    assert (await operate(streamhub, "projections", "prune", "all")).code == 0


async def _no_token_is_believed(core: Core, source: TopicPartition) -> None:
    """What stands where the token wants it is not what the token's holder has seen."""
    ends = LogEnds(core.places.kafka)
    live = LiveBuilds(core.builds, _STRANGERS)
    waiter = PositionWaiter(core.sinks, _STRANGERS, live, ends, 1.0)
    for projection in _STRANGERS:
        with pytest.raises(ProjectionBehind):
            await waiter.wait([projection], {("engagement", source.partition): 0})
    await ends.close()


_MOVE_STATE = "UPDATE state_positions SET events_next = events_next + $1 WHERE domain = 'comments'"
_MOVE_REACTION = (
    "UPDATE reaction_positions SET position = position + $1 WHERE reaction = 'moderate_comments'"
)
_EMPTY_STATE = "TRUNCATE state_positions, aggregate_states, command_outcomes"


async def test_writers_and_reactions_ahead_of_the_log_stop_until_they_are_mended(
    streamhub: StreamHub, person: Person, backstage: Backstage, video: str
) -> None:
    """W2, R4: nothing is decided on what never was, and nothing is passed over unseen."""
    core = backstage.core
    comment = {"videoId": video, "text": "before"}
    assert (await person.post("/comments", comment)).status == 201
    await settled(core)
    streamhub.stop(COMMANDS, PROCESSORS)
    await core.pool.execute(_MOVE_STATE, 1_000)
    await core.pool.execute(_MOVE_REACTION, 1_000)
    told = {name: streamhub.log_file(name).stat().st_size for name in (COMMANDS, PROCESSORS)}
    streamhub.restart(COMMANDS, PROCESSORS)

    async def refused() -> bool:
        return all(
            code in streamhub.log_file(name).read_bytes()[told[name] :].decode()
            for name, code in ((COMMANDS, "STATE_AHEAD"), (PROCESSORS, "READER_AHEAD"))
        )

    await eventually("both told why they do not work", refused, 60.0)
    streamhub.stop(COMMANDS, PROCESSORS)
    await core.pool.execute(_EMPTY_STATE)
    await core.pool.execute(_MOVE_REACTION, -1_000)
    streamhub.restart(COMMANDS, PROCESSORS)

    async def decided() -> bool:
        answer = await person.post("/comments", {**comment, "text": "after"}, key="after")
        return answer.status == 201

    await eventually("commands decided again", decided, 60.0)
    await settled(core, 120.0)
    await check_everything(core)
