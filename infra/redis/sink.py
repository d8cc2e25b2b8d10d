"""Redis as a sink: a Lua script moves the position and runs the commands, or does neither.

Every key of version N of a projection begins with ``<projection>:vN:``, so that a new version can
be built beside the live one; ``<projection>:live`` holds the number of the live version. A family
of keys (``session:…``) that is declared as published is also kept under its bare name, as a copy
of the live version's keys that changes in the same script. A namespace stands before all of them;
in a cluster it holds the hash tag that keeps a projection's keys and positions in one slot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from redis.asyncio import Redis

from events.base import TopicPartition
from infra.redis.commands import commands_of
from infra.redis.connection import Script, connect, store_errors
from projections.declaration import Projection, Store
from projections.ports import Move, PositionMoved, Step

_APPLY = Script(Path(__file__).with_name("apply.lua"))
_DIGEST = Script(Path(__file__).with_name("digest.lua"))
_APPLIED = -1
_SCAN_KEYS = 1_000
_EXPIRING_MS = 60_000


def version_prefix(namespace: str, projection: Projection) -> str:
    """Return what every key of this version begins with."""
    return f"{namespace}{projection.name}:{projection.tag}:"


def live_key(namespace: str, projection: str) -> str:
    """Return the key that holds the number of the live version."""
    return f"{namespace}{projection}:live"


def field_of(source: TopicPartition) -> str:
    """Return the field of the positions' hash for a partition."""
    return f"{source.topic}:{source.partition}"


class RedisSink:
    """Implements ``projections.ports.Sink``; the first argument of a command is its only key."""

    store = Store.REDIS
    pace_s = 0.05

    def __init__(self, url: str, namespace: str = "") -> None:
        self._redis: Redis = connect(url)
        self._namespace = namespace

    async def prepare(self, projections: Sequence[Projection]) -> None:
        """Point to these versions where none is live yet; keys need no preparation."""
        async with store_errors():
            for projection in projections:
                live = live_key(self._namespace, projection.name)
                await self._redis.setnx(live, projection.tag)

    async def positions(
        self, projections: Sequence[Projection]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        async with store_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for projection in projections:
                pipeline.hgetall(self._positions_key(projection))
            found = await pipeline.execute()
        return {
            projection.name: {_source(field): int(position) for field, position in hash_.items()}
            for projection, hash_ in zip(projections, found, strict=True)
        }

    async def apply(self, steps: Sequence[Step]) -> None:
        moves = [(step.source, move) for step in steps for move in step.moves]
        calls = [(self._keys(move), self._arguments(source, move)) for source, move in moves]
        async with store_errors():
            answers = await _APPLY.run(self._redis, calls)
        for (source, move), answer in zip(moves, answers, strict=True):
            if answer != _APPLIED:
                raise PositionMoved(
                    f"{move.projection.name} is at {answer} of {source}, not at {move.before}"
                )

    async def switch(self, projection: Projection) -> None:
        async with store_errors():
            for family in _published_families(projection):
                await self._publish(projection, family)
            await self._redis.set(live_key(self._namespace, projection.name), projection.tag)

    async def _publish(self, projection: Projection, family: str) -> None:
        """Let the published keys of a family be copies of this build's."""
        prefix = version_prefix(self._namespace, projection)
        mine = {key async for key in self._redis.scan_iter(f"{prefix}{family}:*", _SCAN_KEYS)}
        for batch in _pieces(sorted(mine)):
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key in batch:
                    published = self._namespace + key.removeprefix(prefix)
                    pipeline.copy(key, published, replace=True)
                await pipeline.execute()
        wanted = {self._namespace + key.removeprefix(prefix) for key in mine}
        async for key in self._redis.scan_iter(f"{self._namespace}{family}:*", _SCAN_KEYS):
            if key not in wanted:
                await self._redis.delete(key)

    async def is_seen(self, projection: Projection) -> bool:
        async with store_errors():
            live = await self._redis.get(live_key(self._namespace, projection.name))
        return bool(live == projection.tag)

    async def drop(self, projection: Projection) -> None:
        async with store_errors():
            async for key in self._redis.scan_iter(
                f"{version_prefix(self._namespace, projection)}*", _SCAN_KEYS
            ):
                await self._redis.unlink(key)

    async def digests(
        self, projection: Projection, only: Collection[str] | None = None
    ) -> AsyncIterator[Mapping[str, str]]:
        prefix = version_prefix(self._namespace, projection)
        async with store_errors():
            for keys in _pieces([prefix + key for key in only or ()]):
                yield await self._digests(prefix, keys)
            if only is None:
                scanned = self._redis.scan_iter(f"{prefix}*", _SCAN_KEYS)
                mine = [key async for key in scanned if key != self._positions_key(projection)]
                for keys in _pieces(list(dict.fromkeys(mine))):
                    yield await self._digests(prefix, keys)

    async def _digests(self, prefix: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the digests of keys; what is about to expire may be gone elsewhere already."""
        answers = await _DIGEST.run(self._redis, [((key,), (_EXPIRING_MS,)) for key in keys])
        return {
            key.removeprefix(prefix): digest
            for key, digest in zip(keys, answers, strict=True)
            if digest
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _positions_key(self, projection: Projection) -> str:
        return f"{version_prefix(self._namespace, projection)}positions"

    def _keys(self, move: Move) -> list[str]:
        live = live_key(self._namespace, move.projection.name)
        return [self._positions_key(move.projection), live]

    def _arguments(self, source: TopicPartition, move: Move) -> list[str]:
        prefix = version_prefix(self._namespace, move.projection)
        commands = commands_of(move.changes)
        published = _published(move.projection, commands)
        words = [field_of(source), str(move.before), str(move.after), move.projection.tag]
        words += [prefix, self._namespace, str(len(published)), *published]
        for name, key, *rest in commands:
            words += [str(len(rest) + 2), name, prefix + key, *rest]
        return words


def _published(projection: Projection, commands: Sequence[Sequence[str]]) -> list[str]:
    """Return the keys among the commands' that are published under their bare names."""
    families = _published_families(projection)
    keys = dict.fromkeys(command[1] for command in commands)
    return [key for key in keys if key.partition(":")[0] in families]


def _published_families(projection: Projection) -> frozenset[str]:
    return frozenset(t.name for t in projection.tables if t.options.get("published"))


def _pieces(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _SCAN_KEYS):
        yield keys[start : start + _SCAN_KEYS]


def _source(field: str) -> TopicPartition:
    topic, _, partition = field.rpartition(":")
    return TopicPartition(topic, int(partition))
