"""The state cache: what the store lacks stays in memory, whatever interrupts a save."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from commands import cache as cache_module
from commands.aggregate import StreamState
from commands.cache import PartitionCache
from commands.follows import FOLLOW, Follow
from commands.ports import (
    CachePosition,
    CaughtUp,
    DomainPartition,
    StaleCacheError,
    StoredState,
)
from commands.router import ROUTER
from events.base import TopicPartition
from events.codec import LogRecord
from events.errors import UndecodableRecord
from events.follows import UserFollowed
from events.outcomes import CommandDecided, Position
from tests.unit.commands.memory import MemoryStateStore
from tests.unit.events.keys import MemoryKeyRing
from tests.unit.events.known import ADA, BEN, COMMAND, NOW, VIDEO, log_record

PARTITION = DomainPartition("follows", 0)
FOLLOWING = StreamState(1, Follow(following=True))
NOT_FOLLOWING = StreamState(2, Follow(following=False))


class GatedStore(MemoryStateStore):
    """A store whose saves wait at a gate, and fail with ``error`` behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.error: Exception | None = None

    async def save(
        self,
        partition: DomainPartition,
        before: CachePosition,
        after: CachePosition,
        states: Mapping[str, StoredState],
        outcomes: Mapping[str, bytes],
    ) -> None:
        self.waiting.set()
        await self.gate.wait()
        error, self.error = self.error, None
        if error is not None:
            raise error
        await super().save(partition, before, after, states, outcomes)


async def opened(store: MemoryStateStore) -> PartitionCache:
    made = PartitionCache(PARTITION, store, ROUTER)
    await made.open()
    return made


def outcome(command_id: str, fingerprint: str = "abc") -> CommandDecided:
    return CommandDecided(
        command_id=command_id,
        command_type="user.follow.v1",
        fingerprint=fingerprint,
        stream="follow-1",
        stream_version=1,
        event_count=1,
        answer={},
        refusal=None,
        position=Position(domain="follows", partition=0, offset=0),
        time=NOW,
        actor_id=None,
    )


def put(cache: PartitionCache, stream: str, state: StreamState) -> None:
    cache.put_state(stream, state)
    cache.advance(events_next=cache.position.events_next + 1)


async def test_a_stream_that_nobody_knows_is_in_its_first_state() -> None:
    cache = await opened(MemoryStateStore())
    await cache.prefetch({"follow-1": FOLLOW}, [COMMAND])
    assert cache.state("follow-1") == StreamState(0, FOLLOW.initial)
    assert cache.outcome(COMMAND) is None


async def test_what_was_saved_is_found_by_the_next_owner() -> None:
    store = MemoryStateStore()
    first = await opened(store)
    put(first, "follow-1", FOLLOWING)
    first.put_outcome(outcome(COMMAND))
    await first.save()
    second = await opened(store)
    await second.prefetch({"follow-1": FOLLOW}, [COMMAND])
    assert second.position == first.position
    assert second.state("follow-1") == FOLLOWING
    assert second.outcome(COMMAND) == outcome(COMMAND)


async def test_an_outcome_that_cannot_come_twice_is_not_remembered() -> None:
    cache = await opened(MemoryStateStore())
    cache.put_outcome(outcome(VIDEO, fingerprint=""))
    assert cache.outcome(VIDEO) is None


async def test_a_save_without_a_change_does_not_reach_the_store() -> None:
    store = GatedStore()
    cache = await opened(store)
    await cache.save()
    assert not store.waiting.is_set()


async def test_what_a_failed_save_did_not_write_is_written_by_the_next() -> None:
    store = GatedStore()
    cache = await opened(store)
    put(cache, "follow-1", FOLLOWING)
    store.error = OSError("the store is away")
    with pytest.raises(OSError, match="away"):
        await cache.save()
    await cache.save()
    assert set(store.states) == {"follow-1"}
    assert store.positions[PARTITION] == cache.position


async def test_what_an_interrupted_save_did_not_write_is_written_by_the_next() -> None:
    store = GatedStore()
    cache = await opened(store)
    put(cache, "follow-1", FOLLOWING)
    store.gate.clear()
    saving = asyncio.create_task(cache.save())
    await store.waiting.wait()
    put(cache, "follow-2", FOLLOWING)
    put(cache, "follow-1", NOT_FOLLOWING)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)
    store.gate.set()
    await cache.save()
    assert {stream: stored.version for stream, stored in store.states.items()} == {
        "follow-1": 2,
        "follow-2": 1,
    }


async def test_what_changes_during_a_save_is_written_by_the_next() -> None:
    store = GatedStore()
    cache = await opened(store)
    put(cache, "follow-1", FOLLOWING)
    store.gate.clear()
    saving = asyncio.create_task(cache.save())
    await store.waiting.wait()
    put(cache, "follow-1", NOT_FOLLOWING)
    store.gate.set()
    await saving
    assert store.states["follow-1"].version == 1
    assert store.positions[PARTITION].events_next == 1
    await cache.save()
    assert store.states["follow-1"].version == 2
    assert store.positions[PARTITION].events_next == 2


async def test_a_cache_that_another_owner_moved_is_stale() -> None:
    store = MemoryStateStore()
    cache = await opened(store)
    put(cache, "follow-1", FOLLOWING)
    store.positions[PARTITION] = CachePosition(5, 5, 4)
    with pytest.raises(StaleCacheError):
        await cache.save()
    assert not store.states


async def test_a_full_memory_forgets_what_was_saved_and_used_longest_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache_module, "MEMORY_ENTRIES", 2)
    store = MemoryStateStore()
    cache = await opened(store)
    for number in range(4):
        put(cache, f"follow-{number}", FOLLOWING)
    await cache.save()
    store.states["follow-3"] = StoredState(9, b"{}")
    store.states["follow-0"] = StoredState(9, b'{"following": false}')
    await cache.prefetch({f"follow-{number}": FOLLOW for number in range(4)}, [])
    assert cache.state("follow-3") == FOLLOWING
    assert cache.state("follow-0") == StreamState(9, Follow(following=False))


async def test_what_never_was_an_event_is_passed_over() -> None:
    """It belongs to no stream; what belongs to one and cannot be read is another matter."""
    cache = PartitionCache(PARTITION, MemoryStateStore(), ROUTER)
    await cache.open()
    source = TopicPartition("events.follows", 0)
    foreign = LogRecord(source, 4, "key", b"no json", {"ce_type": b"user.followed.v1"}, 0)
    await cache.fold(CaughtUp(PARTITION, [foreign], (), (6, 2)), MemoryKeyRing())
    assert cache.position == CachePosition(events_next=6, outcomes_next=2, last_event=4)
    keys = MemoryKeyRing()
    event = UserFollowed(follower_id=ADA, creator_id=BEN)
    broken = replace(log_record(event, keys), value=b"no json")
    with pytest.raises(UndecodableRecord):
        await cache.fold(CaughtUp(PARTITION, [broken], (), None), MemoryKeyRing())


async def test_an_outcome_that_was_fetched_outlives_a_save(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A save that ends between fetching and deciding must not make the command look new."""
    monkeypatch.setattr(cache_module, "MEMORY_ENTRIES", 2)
    store = GatedStore()
    cache = await opened(store)
    for number, command_id in enumerate((COMMAND, ADA, BEN), 1):
        cache.put_outcome(outcome(command_id))
        cache.advance(outcomes_next=number)
    store.gate.clear()
    saving = asyncio.create_task(cache.save())
    await store.waiting.wait()
    await cache.prefetch({}, [COMMAND])
    store.gate.set()
    await saving
    assert cache.outcome(COMMAND) == outcome(COMMAND)
