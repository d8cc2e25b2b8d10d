"""Whoever has seen a write is not shown a store that has lost it again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import pytest

from events.base import TopicPartition
from infra import freshness
from infra.freshness import PositionWaiter, ProjectionBehind
from infra.kafka.ends import LogEnds
from infra.live_builds import LiveBuilds
from projections.declaration import Projection
from projections.declaration import Store as Kind
from projections.ports import Move, Sink, Step
from tests.contract.conftest import OpenSink
from tests.contract.stores import Store
from tests.support.waiting import eventually

_SOURCE = TopicPartition("events.engagement", 0)
_SEEN = {("engagement", 0): 19}
#: Positions are believed for a second.
_NOTICED_S = 3.0
#: How long a turn of a busy loop takes, and for how long one waits: a hundred of them.
_TURN_S, _PATIENCE_S = 0.1, 10.0


class DeclaredBuilds:
    """Stands for ``LiveBuilds`` where readers see what is declared."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._projections = projections

    async def trusted(self, store: Kind) -> Sequence[Projection]:
        return [projection for projection in self._projections if projection.store is store]


async def test_whoever_waits_hears_of_it_however_seldom_the_loop_comes_round(
    store: Store, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that is short of time would say of read models that they are behind."""
    monkeypatch.setattr(freshness, "_BELIEVED_S", _TURN_S / 2)
    builds = [replace(projection, build=1) for projection in store.projections]
    await sink.prepare(builds)
    live = cast("LiveBuilds", DeclaredBuilds(builds))
    waiter = PositionWaiter([sink], builds, live, cast("LogEnds", None), _PATIENCE_S)
    await sink.apply([Step(_SOURCE, [Move(p, 0, 20, []) for p in builds])])

    async def keep_busy() -> None:
        while True:
            time.sleep(_TURN_S)  # noqa: ASYNC251 - as much work does
            await asyncio.sleep(0)

    busy = asyncio.create_task(keep_busy())
    try:
        await waiter.wait(builds, _SEEN)
    finally:
        busy.cancel()


async def test_a_store_that_went_back_is_not_believed_for_long(
    store: Store, sink: Sink, open_sink: OpenSink
) -> None:
    """R6: positions that were read before the store was restored count for a moment at most."""
    # Not those that the place shows: they can be dropped.
    builds = [replace(projection, build=1) for projection in store.projections]
    await sink.prepare(builds)
    live = cast("LiveBuilds", DeclaredBuilds(builds))
    waiter = PositionWaiter([sink], builds, live, cast("LogEnds", None), 5.0)
    other = await open_sink()
    await other.apply([Step(_SOURCE, [Move(p, 0, 20, []) for p in builds])])
    await waiter.wait(builds, _SEEN)
    for projection in builds:
        await other.drop(projection)
    await other.prepare(builds)
    await other.apply([Step(_SOURCE, [Move(p, 0, 10, []) for p in builds])])

    async def noticed() -> bool:
        try:
            await waiter.wait(builds, _SEEN, 0.0)
        except ProjectionBehind:
            return True
        return False

    await eventually("the lost positions", noticed, _NOTICED_S)
    waiting = asyncio.create_task(waiter.wait(builds, _SEEN))
    await other.apply([Step(_SOURCE, [Move(p, 10, 20, []) for p in builds])])
    await waiting
