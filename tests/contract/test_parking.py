"""Keys that wait behind a record that cannot be digested, asked of all four stores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from events.base import Recorded, TopicPartition
from events.codec import LogRecord, decode_all
from projections.batches import Batch
from projections.declaration import (
    AfterPoison,
    Append,
    Change,
    Increment,
    Projection,
    Put,
    RedisCommand,
)
from projections.ports import Move, Sink, Step
from projections.runner import ChosenBuilds, Runner
from projections.stamps import OFFSET
from tests.contract.conftest import OpenSink
from tests.contract.history import ENGAGEMENT, History, come_to, engagement, some_videos
from tests.contract.stores import PostgresStore, RedisStore, Store
from tests.contract.test_sinks import known, position
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN
from tests.unit.projections.memory import MemoryParking

_EVENTS = 60
#: The number of the event that cannot be digested.
_BAD = 20


class Letters:
    """Implements ``projections.ports.DeadLetters``; each record once a projection."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str], str] = {}
        self.records: dict[int, LogRecord] = {}

    async def put(
        self, record: LogRecord, reader: str, error: BaseException, parked: Sequence[str] = ()
    ) -> None:
        assert list(parked) == [reader]
        self.kept.setdefault((record.offset, reader), type(error).__name__)
        self.records[record.offset] = record


class Scene:
    """Parking projections of a store, one event of a video that is not digested, and its letters.

    ``unfit`` are the changes that the event comes to: none that the read model can make of it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.videos = some_videos(4)
        self.history = engagement(self.videos, _EVENTS)
        self.bad, event = self.history.events[_BAD]
        self.video: str = event.video_id  # type: ignore[attr-defined]
        self.unfit: Sequence[Change] = ()
        self.keys = MemoryKeyRing.loaded(ADA, BEN)
        self.letters, self.parking = Letters(), MemoryParking()
        self.projections = [self._parking(projection) for projection in store.projections]

    def _parking(self, projection: Projection) -> Projection:
        def evolve(recorded: Recorded) -> Iterable[Change]:
            if recorded.offset != self.bad:
                return projection.evolve(recorded)
            if not self.unfit:
                raise ValueError("nothing can be made of this one")
            return self.unfit

        return replace(projection, evolve=evolve, after_poison=AfterPoison.PARK)

    def runner(self, sink: Sink) -> Runner:
        return Runner(
            "contract",
            self.projections,
            sink,
            builds=ChosenBuilds(),
            keys=self.keys,
            dead_letters=self.letters,
            parking=self.parking,
            dead_letter_cap=1.0,
        )

    def batch(self, begins: int, ends: int) -> Batch:
        """Return those offsets of the history; what is of a video has its id as key."""
        events = dict(self.history.events)
        batch = self.history.batch(self.keys, begins, ends)
        records = [
            replace(record, key=events[record.offset].video_id)  # type: ignore[attr-defined]
            for record in batch.records
        ]
        return replace(batch, records=records)

    def waiting(self) -> list[int]:
        """Return the offsets that may not be applied: the bad one, and all behind it of its key."""
        return [
            offset
            for offset, event in self.history.events
            if offset >= self.bad and event.video_id == self.video  # type: ignore[attr-defined]
        ]

    def without(self, offsets: Sequence[int]) -> History:
        events = [each for each in self.history.events if each[0] not in offsets]
        return History(self.history.source, events)

    async def check_waiting(self, sink: Sink) -> None:
        """Fail unless the key waits, all else is applied, and each that waits is a letter."""
        waiting = self.waiting()
        assert len(waiting) > 2
        assert await self.store.read(self.videos) == known(
            self.store, come_to(self.without(waiting))
        )
        assert await position(sink, self.store) == self.history.end
        for projection in self.projections:
            mine = {
                at: why for (at, name), why in self.letters.kept.items() if name == projection.name
            }
            assert list(mine) == waiting
            assert {mine[at] for at in waiting[1:]} == {"Parked"}
            assert self.parking.keys[projection.name, ENGAGEMENT] == {self.video: self.bad}


@pytest_asyncio.fixture
async def scene(store: Store) -> Scene:
    return Scene(store)


async def test_a_key_waits_through_restarts_and_is_released_in_its_turn(
    scene: Scene, sink: Sink, open_sink: OpenSink
) -> None:
    end = scene.history.end
    for begins, ends in ((0, scene.bad + 1), (scene.bad - 3, end - 10), (end - 20, end)):
        reader = scene.runner(await open_sink())
        await reader.start()
        await reader.assign([ENGAGEMENT])
        await reader.apply([scene.batch(begins, ends)])
    await scene.check_waiting(sink)

    for offset in scene.waiting():
        [recorded] = decode_all(scene.letters.records[offset], scene.keys)
        place = TopicPartition(f"deadletters/{ENGAGEMENT.topic}/{ENGAGEMENT.partition}/{offset}", 0)
        moves = [Move(p, 0, 1, list(p.evolve(recorded))) for p in scene.store.projections]
        await sink.apply([Step(place, moves)])
    assert await scene.store.read(scene.videos) == known(scene.store, come_to(scene.history))

    scene.parking.keys.clear()
    await reader.reload()
    more = engagement([scene.video], 5, seed=2)
    later = History(ENGAGEMENT, [(end + offset, event) for offset, event in more.events])
    records = [replace(r, key=scene.video) for r in later.batch(scene.keys, end, later.end).records]
    await reader.apply([Batch(ENGAGEMENT, end, later.end, records)])
    assert await scene.store.read(scene.videos) == known(scene.store, come_to(scene.history, later))


async def test_a_record_that_the_store_refuses_has_its_key_wait_too(
    scene: Scene, sink: Sink
) -> None:
    """However large the step in which it comes."""
    scene.unfit = [await _unfit(scene)]
    reader = scene.runner(sink)
    await reader.start()
    await reader.assign([ENGAGEMENT])
    await reader.apply([scene.batch(0, scene.history.end)])
    await scene.check_waiting(sink)


async def _unfit(scene: Scene) -> Change:
    """Return a change of some row that the store will not make."""
    store, row = scene.store, some_videos(1)[0]
    match store:
        case PostgresStore():
            return Put("videos", (row,), {"title": 7, "created_at": "never"})
        case RedisStore():
            async with Redis.from_url(store.server_url) as server:
                for projection in scene.projections:
                    key = f"{store.namespace}{projection.name}:{projection.tag}:clash"
                    await server.set(key, "not a hash")
            return RedisCommand(("HINCRBY", "clash", "views", 1))
        case _ if store.name == "clickhouse":  # type: ignore[attr-defined]
            return Append("views", {"video_id": "no id", OFFSET: scene.bad})
        case _:
            return Increment("videos", (row,), {"views": "many", OFFSET: scene.bad})  # type: ignore[dict-item]


@pytest.mark.parametrize("size", [1, 7])
async def test_what_waits_is_the_same_in_whatever_batches_it_comes(
    scene: Scene, sink: Sink, size: int
) -> None:
    scene.unfit = [await _unfit(scene)]
    reader = scene.runner(sink)
    await reader.start()
    await reader.assign([ENGAGEMENT])
    for begins in range(0, scene.history.end, size):
        await reader.apply([scene.batch(begins, min(begins + size, scene.history.end))])
    await scene.check_waiting(sink)
