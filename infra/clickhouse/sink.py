"""ClickHouse as a sink: a projection's rows and its positions are one insert of one part.

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
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from events.base import TopicPartition
from infra.clickhouse.client import ClickHouse, database_name, unprepared_errors
from infra.clickhouse.schema import (
    POSITIONS,
    columns_of,
    digest_query,
    drop_statements,
    physical,
    statements,
    switch_statements,
    zeros_of,
)
from projections.declaration import Append, Change, Projection, Store
from projections.ports import Move, PositionMoved, Step
from projections.stamps import OFFSET

_BELIEVED_S = 1.0
#: Offsets of a partition whose rows are compared at a time.
DIGEST_OFFSETS = 100_000
#: Nothing is gathered in the server's memory, and nothing is dropped for having been there.
_INSERT = {"async_insert": 0, "insert_deduplicate": 0}


Moves = Sequence[tuple[TopicPartition, Move]]
#: A position that nobody knows, read in a time that nobody remembers.
_UNKNOWN = (-1, float("-inf"))


class ClickHouseSink:
    """Implements ``projections.ports.Sink``; changes carry their offset (``stamps``).

    ``believed_s`` is how long a position is believed without a look.
    """

    store = Store.CLICKHOUSE
    pace_s = 0.25

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

    async def apply(self, steps: Sequence[Step]) -> None:
        by_projection: dict[str, list[tuple[TopicPartition, Move]]] = defaultdict(list)
        for step in steps:
            for move in step.moves:
                by_projection[physical(move.projection)].append((step.source, move))
        for moves in by_projection.values():
            await self._apply(moves[0][1].projection, moves)

    async def _apply(self, projection: Projection, moves: Moves) -> None:
        read_at = await self._check(projection, moves)
        await self._insert(projection, moves)
        for source, move in moves:
            self._known[physical(projection), source] = (move.after, read_at)

    async def _insert(self, projection: Projection, moves: Moves) -> None:
        """Write one block: all rows of all partitions appear, or none."""
        await self._client.insert(
            physical(projection), columns_of(projection), _values(projection, moves), _INSERT
        )

    async def switch(self, projection: Projection) -> None:
        for statement in switch_statements(projection):
            await self._client.command(statement)

    async def is_seen(self, projection: Projection) -> bool:
        rows = await self._client.query(
            "SELECT name, as_select FROM system.tables WHERE database = currentDatabase()"
        )
        selects = {row["name"]: row["as_select"] for row in rows}
        return all(
            selects.get(table.name, "").endswith(f"{table.name}__{projection.tag}")
            for table in projection.tables
        )

    async def drop(self, projection: Projection) -> None:
        for statement in drop_statements(projection):
            await self._client.command(statement)

    async def digests(
        self, projection: Projection, only: Collection[str] | None = None
    ) -> AsyncIterator[Mapping[str, str]]:
        stored = (await self.positions([projection])).get(projection.name, {})
        for source, end in stored.items():
            for start in range(0, end, DIGEST_OFFSETS):
                rows = await self._client.query(
                    digest_query(projection, some=only is not None),
                    {
                        "only": list(only or ()),
                        "positions": POSITIONS,
                        "topic": source.topic,
                        "partition": source.partition,
                        "start": start,
                        "end": start + DIGEST_OFFSETS,
                    },
                )
                yield {row["place"]: row["digest"] for row in rows}

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()
        await self._client.close()

    async def _check(self, projection: Projection, moves: Moves) -> float:
        """Refuse what does not follow; return when its positions were last read."""
        now = time.monotonic()
        known = [self._known.pop((physical(projection), source), _UNKNOWN) for source, _ in moves]
        read_at = min(moment for _, moment in known)
        believed = [position for position, _ in known]
        if now - read_at >= self._believed_s or believed != [move.before for _, move in moves]:
            stored = (await self._stored([projection])).get(projection.name, {})
            read_at = now
            for source, move in moves:
                _require(projection, source, stored.get(source, 0), move.before)
        return read_at


def _require(projection: Projection, source: TopicPartition, position: int, before: int) -> None:
    if position != before:
        raise PositionMoved(f"{projection.name} is at {position} of {source}, not at {before}")


def _values(projection: Projection, moves: Moves) -> list[list[Any]]:
    """Return the values of each column: of the rows of each move, and of its position behind."""
    zeros = dict(zip(columns_of(projection), zeros_of(projection), strict=True))
    columns: dict[str, list[Any]] = {name: [] for name in zeros}
    for source, move in moves:
        rows = [_row(change) for change in move.changes]
        count = len(rows) + 1
        own: dict[str, list[Any]] = {
            "relation": [*(change.table for change in move.changes), POSITIONS],  # type: ignore[union-attr]
            "topic": [source.topic] * count,
            "partition": [source.partition] * count,
            "offset": [*(row[OFFSET] for row in rows), 0],
            "reached": [*([0] * len(rows)), move.after],
        }
        for name, zero in zeros.items():
            columns[name] += own.get(name) or [*[row.get(name, zero) for row in rows], zero]
    return list(columns.values())


def _row(change: Change) -> Mapping[str, Any]:
    if not isinstance(change, Append):
        raise TypeError(f"{type(change).__name__} is not a new row")
    return change.values
