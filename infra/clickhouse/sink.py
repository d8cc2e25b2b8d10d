"""ClickHouse as a sink: the rows of a step and its position are one insert of one part.

What makes a step count once: one whose answer was lost is found to be there when it is tried again;
and rows that are written twice nevertheless, by an insert that was still under way or by a slower
runner, have the same key, so reading FINAL sees them once. Positions only rise, since the greatest
of a partition counts. Deduplication of whole inserts by a token would add nothing, and would drop
a step that must be written again because the server lost it.

Reading the position costs as much as the insert, so one that this sink has moved itself is
believed for a moment. Meanwhile another runner can only have gone further, and writing its rows
again is harmless; a store that lost rows is noticed at the next look, and at every error.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from events.base import TopicPartition
from infra.clickhouse.client import ClickHouse, database_name, unprepared_errors
from infra.clickhouse.schema import POSITIONS, columns_of, physical, statements, zeros_of
from projections.declaration import Append, Projection, Store
from projections.ports import Move, PositionMoved
from projections.stamps import OFFSET

_BELIEVED_S = 1.0
#: Nothing is gathered in the server's memory, and nothing is dropped for having been there.
_INSERT = {"async_insert": 0, "insert_deduplicate": 0}


class ClickHouseSink:
    """Implements ``projections.ports.Sink``; changes carry their offset (``stamps``).

    ``believed_s`` is how long a position is believed without a look.
    """

    store = Store.CLICKHOUSE

    def __init__(self, url: str, namespace: str = "", believed_s: float = _BELIEVED_S) -> None:
        self._database = database_name(namespace)
        self._server = ClickHouse(url)
        self._client = ClickHouse(url, self._database)
        self._believed_s = believed_s
        #: Table and partition -> position, and when it was last read; gone while a step is tried.
        self._known: dict[tuple[str, TopicPartition], tuple[int, float]] = {}

    async def prepare(self, projections: Sequence[Projection]) -> None:
        await self._server.command(f"CREATE DATABASE IF NOT EXISTS {self._database}")
        for projection in projections:
            for statement in statements(projection):
                await self._client.command(statement)

    async def positions(
        self, projections: Sequence[Projection]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        async with unprepared_errors():
            return await self._stored(projections)

    async def _stored(
        self, projections: Sequence[Projection]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        found: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
        for projection in projections:
            rows = await self._client.query(
                f"SELECT topic, partition, max(reached) AS reached FROM {physical(projection)} "  # noqa: S608
                "WHERE relation = {positions:String} GROUP BY topic, partition",
                {"positions": POSITIONS},
            )
            for row in rows:
                source = TopicPartition(row["topic"], row["partition"])
                found[projection.name][source] = row["reached"]
        return found

    async def pending(self, projections: Sequence[Projection], source: TopicPartition) -> int:  # noqa: ARG002
        return -1

    async def apply(self, source: TopicPartition, moves: Sequence[Move]) -> None:
        for move in moves:
            place = (physical(move.projection), source)
            looked_at = await self._check(place, move)
            await self._insert(source, move)
            self._known[place] = (move.after, looked_at)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()
        await self._client.close()

    async def _check(self, place: tuple[str, TopicPartition], move: Move) -> float:
        """Refuse a step that does not follow; return when the position was last read."""
        position, looked_at = self._known.pop(place, (-1, 0.0))
        now = time.monotonic()
        if position == move.before and now - looked_at < self._believed_s:
            return looked_at
        stored = await self._stored([move.projection])
        position = stored.get(move.projection.name, {}).get(place[1], 0)
        if position != move.before:
            raise PositionMoved(
                f"{move.projection.name} is at {position} of {place[1]}, not at {move.before}"
            )
        return now

    async def _insert(self, source: TopicPartition, move: Move) -> None:
        table, columns = physical(move.projection), columns_of(move.projection)
        await self._client.insert(table, columns, _rows(source, move), _INSERT)


def _rows(source: TopicPartition, move: Move) -> list[list[Any]]:
    """Return the rows of a step, its position last."""
    columns = columns_of(move.projection)
    zeros = dict(zip(columns, zeros_of(move.projection), strict=True))
    place = {"topic": source.topic, "partition": source.partition}
    rows = []
    for change in move.changes:
        if not isinstance(change, Append):
            raise TypeError(f"{type(change).__name__} is not a new row")
        values = {**zeros, **place, "relation": change.table, **change.values}
        values["offset"] = values.pop(OFFSET)
        rows.append(list(values.values()))
    position = {**zeros, **place, "relation": POSITIONS, "reached": move.after}
    return [*rows, list(position.values())]
