"""The log itself is restored from an older copy: whatever read it is then ahead of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.kafka.bus import KafkaCommandBus
from tests.conftest import Servers
from tests.support.api import PASSWORD, Api, Person, name
from tests.support.log import Log, read_log
from tests.support.operators import Ended, operate
from tests.support.positions import settled
from tests.support.restoring import Backup
from tests.support.stores import check_everything
from tests.support.streamhub import COMMANDS, PROCESSES, StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually

#: What read the comments, views, likes and follows that are lost.
_AHEAD = {"comments", "followers", "hot_counters", "video_index", "viewing", "watch_page"}
#: Of the account that is lost: its email and its name.
_CLAIMS = 2


async def test_a_log_that_went_back_is_not_gone_on_from_until_all_else_went_back_too(
    streamhub: StreamHub,
    servers: Servers,
    api: Api,
    person: Person,
    other: Person,
    backstage: Backstage,
    video: str,
    tmp_path: Path,
) -> None:
    """W2, R2, R5: what is ahead is named, nothing is decided on it, the documented way mends it."""
    core = backstage.core
    comment = {"videoId": video, "text": "kept"}
    assert (await person.post("/comments", comment)).status == 201
    await settled(core)
    backup = Backup(servers, "kafka", tmp_path)
    await asyncio.to_thread(backup.take)
    lost = await _go_on(api, person, other, video)
    await settled(core)
    told = streamhub.log_file(COMMANDS).stat().st_size
    await asyncio.to_thread(backup.restore)
    kept = await read_log(core.places.kafka)
    undecided = await person.post("/comments", {**comment, "text": "to a log that went back"})
    assert undecided.status in {202, 503}, undecided

    async def refused() -> bool:
        return "STATE_AHEAD" in streamhub.log_file(COMMANDS).read_bytes()[told:].decode()

    await eventually("commands refused", refused, 60.0)
    ended, named = await _status(streamhub)
    assert (ended.code, set(named) >= _AHEAD) == (1, True), ended
    assert f"projections rebuild --fresh {' '.join(named)}" in ended.complaint
    assert _events(await read_log(core.places.kafka)) == _events(kept)

    await _repair(streamhub, named)
    await _reconnect(backstage.bus)
    await _goes_on(person, api, video, lost)
    await settled(core, 120.0)
    log = await check_everything(core)
    assert _events(kept) < _events(log)
    assert (await _status(streamhub))[0].code == 0
    assert (await operate(streamhub, "log", "verify")).code == 0


async def test_a_log_is_not_adopted_while_workers_are_at_work(
    streamhub: StreamHub,
) -> None:
    """W6: what a worker has just claimed is not in the log yet."""
    adopted = await operate(streamhub, "log", "adopt")
    assert (adopted.code, "WORKERS_AT_WORK" in adopted.complaint) == (1, True), adopted


async def _repair(hub: StreamHub, named: Sequence[str]) -> None:
    """Do what ``docs/operations.md`` says; a worker that just died is a member for a while."""
    hub.stop(*PROCESSES)
    try:
        built = await operate(hub, "projections", "rebuild", "--fresh", *named)
        assert built.code == 0, built.complaint

        async def adopted() -> bool:
            ended = await operate(hub, "log", "adopt", "--json")
            return ended.code == 0 and ended.data["claimsReleased"] == _CLAIMS

        await eventually("the log adopted", adopted, 30.0)
    finally:
        hub.restart(*PROCESSES)
    await hub.wait_ready(*PROCESSES)
    assert (await operate(hub, "projections", "prune", "all")).code == 0


async def _reconnect(bus: KafkaCommandBus) -> None:
    """Start anew what of this process follows the log, as the processes were."""
    await bus.stop()
    await bus.start()


async def _goes_on(person: Person, api: Api, video: str, lost: Mapping[str, str]) -> None:
    """The email and the name that were lost with their account can be taken again."""
    await _decided(person, "/comments", {"videoId": video, "text": "after"}, "after")
    await _registered(api, lost, key=f"{lost['username']} again")


async def _registered(api: Api, account: Mapping[str, str], key: str) -> None:
    """Open an account; the log may have been away a moment ago."""

    async def registered() -> bool:
        answer = await api.call("POST", "/auth/register", account, key=key)
        return answer.status == 201

    await eventually("an account opened", registered, 60.0)


async def _decided(person: Person, path: str, body: Mapping[str, Any], key: str) -> None:
    """Have a command decided once; the log may have been away a moment ago."""

    async def decided() -> bool:
        return (await person.post(path, body, key=key)).status in {200, 201}

    await eventually(f"{path} decided", decided, 60.0)


async def _go_on(api: Api, person: Person, other: Person, video: str) -> dict[str, str]:
    """Do what the copy does not hold; return the account that is lost with it."""
    username = name("lost")
    account = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
    await _registered(api, account, key=f"{username} first")
    for number in range(5):
        comment = {"videoId": video, "text": f"lost {number}"}
        await _decided(other, "/comments", comment, f"lost comment {number}")
        watched = {"sessionId": f"s{number}", "watchDuration": 1}
        await _decided(other, f"/videos/{video}/view", watched, f"lost view {number}")
    await other.post(f"/videos/{video}/like")
    await other.post(f"/users/{person.id}/follow")
    return account


def _events(log: Log) -> set[str]:
    return {entry.event_id for entry in log.events}


async def _status(hub: StreamHub) -> tuple[Ended, list[str]]:
    ended = await operate(hub, "projections", "status", "--json")
    return ended, sorted({row["projection"] for row in ended.data if row["refused"]})
