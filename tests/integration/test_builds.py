"""Projections built anew beside those that readers see, and switched to, while people go on.

Runs before the tests that change stores by hand: what those leave behind differs from the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import psutil
import pytest

from events.errors import NotFound
from infra.postgres.builds import BuildState
from projections.declaration import Projection
from projections.registry import PROJECTIONS
from tests.support.api import Api, Person, sign_up
from tests.support.operators import called, operate
from tests.support.positions import settled
from tests.support.stores import check_everything
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage
from tests.support.waiting import eventually
from tests.support.workload import prepare_workload

NAMES = {projection.name for projection in PROJECTIONS}


async def test_all_stores_are_rebuilt_while_people_write_and_read(
    streamhub: StreamHub, api: Api, backstage: Backstage
) -> None:
    """SH-119: no read fails, nobody goes back in time, and every store agrees with the log."""
    before = await _live(streamhub)
    workload = await prepare_workload(api, backstage, 11, clients=6, steps=60)
    reader = await sign_up(api, "reader")
    video = await backstage.ready_video(reader)
    async with _reading(reader, video) as seen, asyncio.TaskGroup() as tasks:
        tasks.create_task(workload.run())
        rebuild = ("projections", "rebuild", "all", "--processes", "2", "--json")
        ended = await operate(streamhub, *rebuild)
        if "READERS_BUSY" in ended.complaint:
            # A reader that is just being assigned its partitions; the command goes on from here.
            ended = await operate(streamhub, *rebuild)
    assert ended.code == 0, ended.complaint
    assert {row["projection"] for row in ended.data} == NAMES
    assert all(row["differing"] == [] for row in ended.data), ended.data
    after = await _live(streamhub)
    assert all(after[name] != before[name] for name in NAMES)
    assert seen
    await settled(backstage.core)
    await check_everything(backstage.core)
    assert (await operate(streamhub, "projections", "prune", "all")).code == 0


@asynccontextmanager
async def _reading(person: Person, video: str) -> AsyncIterator[list[int]]:
    """Like and unlike, and read one's own write each time, for as long as the body runs."""
    ended = asyncio.Event()
    seen: list[int] = []

    async def read() -> None:
        while not ended.is_set():
            for wanted in (1, 0):
                act = person.post if wanted else person.delete
                assert (await act(f"/videos/{video}/like")).status == 200
                shown = await person.get(f"/videos/{video}")
                assert (shown.status, shown.data["likes"]) == (200, wanted), shown
                found = await person.get("/videos", ids=video)
                assert found.status == 200, found
                seen.append(wanted)

    task = asyncio.create_task(read())
    try:
        yield seen
    finally:
        ended.set()
        await task


async def _live(streamhub: StreamHub) -> dict[str, str]:
    rows = (await operate(streamhub, "projections", "builds", "--json")).data
    return {row["projection"]: row["build"] for row in rows if row["state"] == "live"}


async def test_a_rebuild_that_processes_share_survives_each_of_them(
    streamhub: StreamHub, api: Api, backstage: Backstage
) -> None:
    """Whoever is killed, the rest ends by itself, and the next call goes on."""
    await (await prepare_workload(api, backstage, 12, clients=6, steps=20)).run()
    await settled(backstage.core)
    shared = ("projections", "rebuild", "watch_page", "--processes", "2")
    async with called(streamhub, *shared, "--max-rate", "1") as caller:
        (await _helper(caller.pid)).kill()
        _, complaint = await caller.communicate()
    assert caller.returncode == 1
    assert b"HELPER_ENDED" in complaint
    assert complaint.count(b"\n") == 1

    async with called(streamhub, *shared, "--max-rate", "1") as caller:
        helper = await _helper(caller.pid)
        caller.kill()
        await eventually("the end of the helper", lambda: _has_ended(helper), 30.0)

    ended = await operate(streamhub, *shared, "--json")
    assert ended.code == 0, ended.complaint
    assert [row["differing"] for row in ended.data] == [[]]
    assert (await operate(streamhub, "projections", "prune", "all")).code == 0


async def _helper(caller: int) -> psutil.Process:
    """Return the process that helps another, once there is one."""
    found: list[psutil.Process] = []

    async def is_there() -> bool:
        found.extend(psutil.Process(caller).children())
        return bool(found)

    await eventually("a helper", is_there, 30.0)
    return found[0]


async def _has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def test_readers_can_return_to_the_build_before(
    streamhub: StreamHub, person: Person, backstage: Backstage
) -> None:
    """The former build is kept, and brought up to the log's end before readers see it again."""
    first = (await _live(streamhub))["followers"]
    assert (await operate(streamhub, "projections", "rebuild", "followers")).code == 0
    assert (await _live(streamhub))["followers"] != first
    fan = await sign_up(person.api, "fan")
    assert (await fan.post(f"/users/{person.id}/follow")).status == 200
    assert (await operate(streamhub, "projections", "rollback", "followers")).code == 0
    assert (await _live(streamhub))["followers"] == first
    followers = await fan.get(f"/users/{person.id}/followers")
    assert [row["id"] for row in followers.data] == [fan.id]
    assert (await operate(streamhub, "projections", "prune", "followers")).code == 0
    again = await operate(streamhub, "projections", "rollback", "followers")
    assert (again.code, "BUILD_NOT_FOUND" in again.complaint) == (1, True)


async def test_a_switch_that_was_cut_short_is_completed_by_live_readers(
    streamhub: StreamHub, backstage: Backstage
) -> None:
    """A rebuild that dies between noting a build as live and showing it leaves nothing torn."""
    assert (await operate(streamhub, "projections", "cancel", "all")).code == 0
    names = ("followers", "trending", "viewing", "video_index")
    made = await operate(streamhub, "projections", "rebuild", *names, "--no-switch", "--json")
    assert made.code == 0, made.complaint
    core = backstage.core
    declared = {projection.name: projection for projection in PROJECTIONS}
    sinks = {sink.store: sink for sink in core.sinks}
    builds = [
        record.of(declared[record.projection])
        for record in await core.builds.records()
        if record.state is BuildState.BUILDING
    ]
    assert {build.name for build in builds} == set(names)
    for build in builds:
        await core.builds.went_live(build)
    pid = streamhub.kill("projections")
    await streamhub.wait_ready("projections", but_not=pid)

    async def all_seen() -> bool:
        return all([await sinks[build.store].is_seen(build) for build in builds])

    await eventually("the builds are seen", all_seen, 60.0)
    await settled(core)
    await check_everything(core)
    assert (await operate(streamhub, "projections", "prune", "all")).code == 0


async def test_a_row_that_the_log_does_not_imply_is_found(
    streamhub: StreamHub, person: Person, video: str, backstage: Backstage
) -> None:
    """A live build that somebody changed by hand differs from a fold, and is not verified."""
    await person.post("/comments", {"videoId": video, "text": "as it was written"})
    posted = await person.get(f"/videos/{video}/comments")
    comment = posted.data[0]["id"]
    tag = (await _live(streamhub))["comments"]
    change = f"UPDATE comments__{tag} SET like_count = like_count + 5 WHERE id = $1"
    await backstage.core.pool.execute(change, comment)
    try:
        found = await operate(streamhub, "projections", "verify", "comments", "--json")
        assert found.code == 1
        assert found.data[0]["differing"] == [f"comments:{comment}"]
        refused = await operate(streamhub, "projections", "rebuild", "comments")
        assert (refused.code, "BUILDS_DIFFER" in refused.complaint) == (1, True)
        mended = await operate(streamhub, "projections", "rebuild", "comments", "--no-verify")
        assert mended.code == 0, mended.complaint
    finally:
        await operate(streamhub, "projections", "prune", "comments")
    shown = await person.get(f"/comments/{comment}")
    assert shown.data["likes"] == 0
    sound = await operate(streamhub, "projections", "verify", "comments", "--json")
    assert (sound.code, sound.data[0]["differing"]) == (0, [])


async def test_a_paused_projection_stands_still_and_goes_on_where_it_was(
    streamhub: StreamHub, person: Person, video: str, backstage: Backstage
) -> None:
    """Readers see a paused read model as it was; resumed, it applies what it missed."""
    assert (await operate(streamhub, "projections", "pause", "followers")).code == 0
    fan = await sign_up(person.api, "fan")
    await fan.post(f"/users/{person.id}/follow")
    await person.post(f"/videos/{video}/like")
    assert (await person.get(f"/videos/{video}")).data["likes"] == 1
    stale = await person.get(f"/users/{person.id}/followers")
    assert stale.data == []
    assert (await operate(streamhub, "projections", "resume", "followers")).code == 0

    async def followed() -> bool:
        rows = (await person.get(f"/users/{person.id}/followers")).data
        return [row["id"] for row in rows] == [fan.id]

    await eventually("the follower", followed, 60.0)
    await settled(backstage.core)
    await check_everything(backstage.core)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("rebuild", "nothing"), "PROJECTION_NOT_FOUND"),
        (("rollback", "viewing"), "BUILD_NOT_FOUND"),
    ],
)
async def test_what_is_not_there_is_said_in_a_line(
    streamhub: StreamHub, arguments: tuple[str, ...], code: str
) -> None:
    """One line, exit code 1."""
    assert (await operate(streamhub, "projections", "prune", "all")).code == 0
    ended = await operate(streamhub, "projections", *arguments)
    assert ended.code == 1
    assert code in ended.complaint
    assert ended.complaint.count("\n") == 1


async def test_a_build_that_was_removed_meanwhile_goes_live_for_nobody(
    backstage: Backstage,
) -> None:
    """Somebody else may verify, cancel or prune while a rebuild compares."""
    builds, trending = backstage.core.builds, _declared("trending")
    live = [record for record in await builds.records() if record.state is BuildState.LIVE]
    target, _ = await builds.begin(trending)
    await builds.forget(target)
    with pytest.raises(NotFound, match="removed meanwhile"):
        await builds.went_live(target)
    assert [r for r in await builds.records() if r.state is BuildState.LIVE] == live


async def test_a_build_of_a_former_version_stands_in_nobodys_way(backstage: Backstage) -> None:
    """It may be in the making still when a release with a new version is deployed."""
    builds, now = backstage.core.builds, _declared("trending")
    new = replace(now, version=now.version + 1)
    begun = [await builds.begin(each) for each in (now, new)]
    try:
        assert [again for _, again in begun] == [False, False]
        assert [await builds.begin(each) for each in (now, new)] == [
            (build, True) for build, _ in begun
        ]
    finally:
        for build, _ in begun:
            await builds.forget(build)


def _declared(name: str) -> Projection:
    return next(projection for projection in PROJECTIONS if projection.name == name)
