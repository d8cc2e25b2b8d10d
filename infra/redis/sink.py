"""Redis as a sink: a Lua script moves the position and runs the commands, or does neither.

Every key of version N of a projection begins with ``<projection>:vN:``, so that a new version can
be built beside the live one; ``<projection>:live`` holds the number of the live version. A family
of keys (``session:…``) that is declared as published is also kept under its bare name, as a copy
of the live version's keys that changes in the same script. A namespace stands before all of them;
in a cluster it holds the hash tag that keeps a projection's keys and positions in one slot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from redis.asyncio import Redis

from events.base import TopicPartition
from infra.redis.commands import commands_of
from infra.redis.connection import Script, connect, store_errors
from projections.declaration import Projection, Store
from projections.ports import Move, PositionMoved, Step

_APPLY = Script(Path(__file__).with_name("apply.lua"))
_APPLIED = -1


def version_prefix(namespace: str, projection: Projection) -> str:
    """Return what every key of this version begins with."""
    return f"{namespace}{projection.name}:v{projection.version}:"


def live_key(namespace: str, projection: str) -> str:
    """Return the key that holds the number of the live version."""
    return f"{namespace}{projection}:live"


def field_of(source: TopicPartition) -> str:
    """Return the field of the positions' hash for a partition."""
    return f"{source.topic}:{source.partition}"


class RedisSink:
    """Implements ``projections.ports.Sink``; the first argument of a command is its only key."""

    store = Store.REDIS
    pace_s = 0.02

    def __init__(self, url: str, namespace: str = "") -> None:
        self._redis: Redis = connect(url)
        self._namespace = namespace

    async def prepare(self, projections: Sequence[Projection]) -> None:
        """Point to these versions where none is live yet; keys need no preparation."""
        async with store_errors():
            for projection in projections:
                live = live_key(self._namespace, projection.name)
                await self._redis.setnx(live, str(projection.version))

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

    async def pending(self, projections: Sequence[Projection], source: TopicPartition) -> int:  # noqa: ARG002
        return -1

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
        words = [field_of(source), str(move.before), str(move.after), str(move.projection.version)]
        words += [prefix, self._namespace, str(len(published)), *published]
        for name, key, *rest in commands:
            words += [str(len(rest) + 2), name, prefix + key, *rest]
        return words


def _published(projection: Projection, commands: Sequence[Sequence[str]]) -> list[str]:
    """Return the keys among the commands' that are published under their bare names."""
    families = {table.name for table in projection.tables if table.options.get("published")}
    keys = dict.fromkeys(command[1] for command in commands)
    return [key for key in keys if key.partition(":")[0] in families]


def _source(field: str) -> TopicPartition:
    topic, _, partition = field.rpartition(":")
    return TopicPartition(topic, int(partition))
