"""What every sink promises about builds that stand side by side, asked of all four stores."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from projections.declaration import Projection
from projections.ports import Sink, Step
from tests.contract.history import ENGAGEMENT, History, come_to, engagement, some_videos
from tests.contract.stores import Store
from tests.contract.test_sinks import known, position, steps

SWITCHES = 20


def anew(store: Store, build: int = 1) -> list[Projection]:
    """Return the store's projections as another build of them."""
    return [replace(projection, build=build) for projection in store.projections]


def steps_of(builds: Sequence[Projection], history: History) -> list[Step]:
    """Return the step over the whole history, for some builds."""
    return [Step(history.source, [history.move(build, 0) for build in builds])]


async def digests(
    sink: Sink, builds: Sequence[Projection], only: Collection[str] | None = None
) -> dict[str, str]:
    """Return the digests of all rows of builds."""
    found: dict[str, str] = {}
    for build in builds:
        async for piece in sink.digests(build, only):
            found |= {f"{build.name}/{key}": digest for key, digest in piece.items()}
    return found


async def test_a_build_is_made_unseen_and_seen_at_once(store: Store, sink: Sink) -> None:
    videos = some_videos(4)
    old, new = engagement(videos, 30), engagement(videos, 50, seed=7)
    await sink.apply(steps(store, old))
    builds = anew(store)
    await sink.prepare(builds)
    await sink.apply(steps_of(builds, new))
    assert await store.read(videos) == known(store, come_to(old))
    for build in builds:
        await sink.switch(build)
    assert await store.read(videos) == known(store, come_to(new))
    for projection in store.projections:
        await sink.switch(projection)
    assert await store.read(videos) == known(store, come_to(old))


async def test_builds_have_positions_of_their_own(store: Store, sink: Sink) -> None:
    history = engagement(some_videos(2), 20)
    builds = anew(store)
    await sink.prepare(builds)
    await sink.apply(steps_of(builds, history))
    assert await position(sink, store) == 0
    stored = await sink.positions(builds)
    assert {stored[build.name][ENGAGEMENT] for build in builds} == {history.end}


async def test_a_dropped_build_leaves_nothing_and_the_other_stays(store: Store, sink: Sink) -> None:
    videos = some_videos(3)
    history = engagement(videos, 30)
    builds = anew(store)
    await sink.prepare(builds)
    await sink.apply(steps(store, history))
    await sink.apply(steps_of(builds, history))
    for build in builds:
        await sink.drop(build)
        await sink.drop(build)
    assert await store.read(videos) == known(store, come_to(history))
    assert await position(sink, store) == history.end
    await sink.prepare(builds)
    assert all(not positions for positions in (await sink.positions(builds)).values())
    assert await digests(sink, builds) == {}


async def test_equal_rows_have_equal_digests_however_they_came_to_be(
    store: Store, sink: Sink
) -> None:
    history = engagement(some_videos(4), 60)
    builds = anew(store)
    await sink.prepare(builds)
    for before in range(0, history.end, 7):
        await sink.apply(steps(store, history, before, min(before + 7, history.end)))
    await sink.apply(steps_of(builds, history))
    found = await digests(sink, builds)
    assert found
    assert await digests(sink, store.projections) == found


async def test_digests_tell_which_rows_differ(store: Store, sink: Sink) -> None:
    videos = some_videos(4)
    history = engagement(videos, 60)
    more = engagement(videos, 61)
    builds = anew(store)
    await sink.prepare(builds)
    await sink.apply(steps(store, history))
    await sink.apply(steps_of(builds, more))
    one, other = await digests(sink, store.projections), await digests(sink, builds)
    unlike = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert unlike
    wanted = {key.partition("/")[2] for key in unlike}
    some = await digests(sink, builds, wanted)
    assert some
    assert some.items() <= other.items()
    assert {key.partition("/")[2] for key in some} <= wanted
    assert await digests(sink, builds, set()) == {}


async def test_a_sink_tells_which_build_is_seen(store: Store, sink: Sink) -> None:
    builds = anew(store)
    await sink.prepare(builds)
    assert all([await sink.is_seen(projection) for projection in store.projections])
    assert not any([await sink.is_seen(build) for build in builds])
    for build in builds:
        await sink.switch(build)
    assert all([await sink.is_seen(build) for build in builds])
    assert not any([await sink.is_seen(projection) for projection in store.projections])


async def test_a_sink_tells_which_build_is_seen_while_it_is_switched(
    store: Store, sink: Sink
) -> None:
    """Whoever looks in that moment gets an answer, whichever: both builds are whole."""
    builds = anew(store)
    await sink.prepare(builds)

    async def switch_to_and_fro() -> None:
        for _ in range(SWITCHES):
            for build in (*builds, *store.projections):
                await sink.switch(build)

    switching = asyncio.create_task(switch_to_and_fro())
    while not switching.done():
        for build in builds:
            await sink.is_seen(build)
    await switching
    assert all([await sink.is_seen(projection) for projection in store.projections])
