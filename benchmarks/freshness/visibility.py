"""When what was written is visible in each store, by asking the stores themselves.

What a store has applied is in the store: beside the rows in Postgres and in the same transaction,
set by the same script in Redis, in the same insert in ClickHouse, and in OpenSearch behind a
refresh, hence when a search finds it. So a store is asked for its positions, again and again while
anything is awaited, which costs the same however many writes wait. Not the API is asked: its wait
for a token is not part of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from events.base import TopicPartition
from events.errors import StreamHubError
from infra.bootstrap.core import Core
from projections.declaration import Projection, Store
from projections.ports import Sink
from projections.registry import PROJECTIONS

#: Seconds between two looks: a fifth of the target or less, and seldom enough to be no load.
LOOK_EVERY_S: Mapping[Store, float] = {
    Store.POSTGRES: 0.01,
    Store.REDIS: 0.01,
    Store.CLICKHOUSE: 0.1,
    Store.OPENSEARCH: 0.1,
}
_TIMEOUT_S = 60.0
_LEFT_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Awaited:
    """An event that was answered for at a moment."""

    source: TopicPartition
    offset: int
    answered_at: float


@dataclass(frozen=True, slots=True)
class Seen:
    """Milliseconds until each event was visible, and those that each look took."""

    took_ms: list[float]
    looks_ms: list[float]


@dataclass(slots=True)
class StoreWatch:
    """One store: what is awaited there, and how long what has come took, in milliseconds."""

    sink: Sink
    projections: Sequence[Projection]
    awaited: list[Awaited] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)
    #: How long each look took: what watching costs the store.
    looks_ms: list[float] = field(default_factory=list)

    def add(self, event: Awaited) -> None:
        """Await an event, if a projection of this store reads its topic at all."""
        if any(event.source.topic in each.topics() for each in self.projections):
            self.awaited.append(event)

    async def look(self) -> None:
        """Find out what has come since the last look; every reader of the topic must have it."""
        began = time.perf_counter()
        stored = await self.sink.positions(self.projections)
        now = time.perf_counter()
        self.looks_ms.append((now - began) * 1000)
        left = []
        for event in self.awaited:
            if self._has(stored, event):
                self.took_ms.append((now - event.answered_at) * 1000)
            else:
                left.append(event)
        self.awaited = left

    def _has(self, stored: Mapping[str, Mapping[TopicPartition, int]], event: Awaited) -> bool:
        return all(
            stored.get(each.name, {}).get(event.source, 0) > event.offset
            for each in self.projections
            if event.source.topic in each.topics()
        )


class Visibility:
    """All stores."""

    def __init__(self, stores: Mapping[Store, StoreWatch]) -> None:
        self._stores = stores

    def add(self, seen: Mapping[tuple[str, int], int], answered_at: float) -> None:
        """Await what a command's token says."""
        for (domain, partition), offset in seen.items():
            event = Awaited(TopicPartition(f"events.{domain}", partition), offset, answered_at)
            for store in self._stores.values():
                store.add(event)

    async def settle(self) -> dict[str, Seen]:
        """Wait until all is visible; return what was seen of each store, and begin anew.

        What has not come in time counts as having taken as long as was waited.
        """
        deadline = time.perf_counter() + _TIMEOUT_S
        while any(each.awaited for each in self._stores.values()):
            if time.perf_counter() > deadline:
                break
            await asyncio.sleep(_LEFT_POLL_S)
        found = {}
        for store, watch in self._stores.items():
            missing = [_TIMEOUT_S * 1000] * len(watch.awaited)
            found[str(store)] = Seen(watch.took_ms + missing, watch.looks_ms)
            watch.took_ms, watch.looks_ms, watch.awaited = [], [], []
        return found


async def _keep_looking(store: Store, watch: StoreWatch) -> None:
    while True:
        if watch.awaited:
            with contextlib.suppress(StreamHubError):
                await watch.look()
        await asyncio.sleep(LOOK_EVERY_S[store])


@asynccontextmanager
async def visibility(core: Core) -> AsyncIterator[Visibility]:
    """Watch all stores."""
    live = await core.builds.seen(PROJECTIONS)
    stores = {
        sink.store: StoreWatch(sink, [each for each in live if each.store is sink.store])
        for sink in core.sinks
    }
    tasks = [asyncio.create_task(_keep_looking(*item)) for item in stores.items()]
    try:
        yield Visibility(stores)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
