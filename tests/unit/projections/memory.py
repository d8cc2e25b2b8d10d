"""A store of projections in memory: rows and positions change together or not at all."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from events.base import Recorded, TopicPartition
from events.codec import LogRecord
from projections.declaration import Key, Projection, Store, Table
from projections.folding import RowChange, fold_rows
from projections.ports import PositionMoved, Step, Waiting

Rows = dict[Key, dict[str, Any]]
_DEFAULT = re.compile(r"\bDEFAULT (\S+)")
_WORDS: dict[str, Any] = {"true": True, "false": False, "'{}'": ()}


class MemoryTables:
    """The rows of all tables of some projections, with the defaults that they declare."""

    def __init__(self, projections: Iterable[Projection]) -> None:
        self.tables = {table.name: table for p in projections for table in p.tables}
        self.rows: dict[str, Rows] = defaultdict(dict)

    def apply(self, changes: Mapping[str, Mapping[Key, RowChange]]) -> None:
        for name, rows in changes.items():
            for key, change in rows.items():
                self._change(self.tables[name], key, change)

    def _change(self, table: Table, key: Key, change: RowChange) -> None:
        rows = self.rows[table.name]
        if change.removed:
            rows.pop(key, None)
        if not change.put and not change.add:
            return
        unknown = (change.put.keys() | change.add.keys()) - table.columns.keys()
        assert not unknown, f"{table.name} has no columns {unknown}"
        row = rows.setdefault(key, defaults(table, key))
        row.update(change.put)
        for column, amount in change.add.items():
            row[column] += amount


def defaults(table: Table, key: Key) -> dict[str, Any]:
    """Return a new row of a table: its key, and what else the declaration says."""
    row = {column: _default(kind) for column, kind in table.columns.items()}
    return {**row, **dict(zip(table.key, key, strict=True))}


def _default(kind: str) -> Any:
    found = _DEFAULT.search(kind)
    if found is None:
        return None
    word = found[1]
    return _WORDS[word] if word in _WORDS else word.strip("'") if "'" in word else float(word)


class MemorySink:
    """Implements ``projections.ports.Sink``.

    ``before`` and ``after`` are called around each step, ``refuse`` with its changes, so that a
    test can let them fail.
    """

    store = Store.POSTGRES
    pace_s = 0.0

    def __init__(self, projections: Sequence[Projection]) -> None:
        self.content = MemoryTables(projections)
        self.kept: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
        self.steps: list[tuple[TopicPartition, tuple[int, int]]] = []
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.refuse: Callable[[Mapping[str, Mapping[Key, RowChange]]], None] = lambda _: None

    async def prepare(self, projections: Sequence[Projection]) -> None:
        """Everything is there."""

    async def positions(
        self, projections: Sequence[Projection]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        return deepcopy({p.name: self.kept[p.name] for p in projections if self.kept[p.name]})

    async def apply(self, steps: Sequence[Step]) -> None:
        for step in steps:
            await asyncio.sleep(0)
            self.before()
            self._apply(step)
            self.after()

    def _apply(self, step: Step) -> None:
        for move in step.moves:
            now = self.kept[move.projection.name].get(step.source, 0)
            if now != move.before:
                raise PositionMoved(f"{move.projection.name} is at {now}, not at {move.before}")
        folded = [fold_rows(move.changes) for move in step.moves]
        for rows in folded:
            self.refuse(rows)
        for rows, move in zip(folded, step.moves, strict=True):
            self.content.apply(rows)
            self.kept[move.projection.name][step.source] = move.after
            self.steps.append((step.source, (move.before, move.after)))

    async def switch(self, projection: Projection) -> None:
        """There is one build."""

    async def is_seen(self, projection: Projection) -> bool:  # noqa: ARG002 - there is one
        return True

    async def drop(self, projection: Projection) -> None:
        self.kept.pop(projection.name, None)

    async def digests(
        self, projection: Projection, only: Collection[str] | None = None
    ) -> AsyncIterator[Mapping[str, str]]:
        for table in projection.tables:
            rows = self.content.rows[table.name]
            found = {f"{table.name}:{key}": str(row) for key, row in rows.items()}
            yield {key: digest for key, digest in found.items() if only is None or key in only}

    async def close(self) -> None:
        """There is nothing to close."""


class MemoryDeadLetters:
    """Implements ``projections.ports.DeadLetters``."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, str, str]] = []
        self.parked: list[tuple[int, tuple[str, ...]]] = []
        self.before: Callable[[], None] = lambda: None

    async def put(
        self, record: LogRecord, reader: str, error: BaseException, parked: Sequence[str] = ()
    ) -> None:
        self.before()
        self.kept.append((record.offset, reader, type(error).__name__))
        self.parked.append((record.offset, tuple(parked)))


class MemoryParking:
    """Implements ``projections.ports.Parking``; outlives the runners that use it."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, TopicPartition], dict[str, int]] = defaultdict(dict)
        self.asked = 0

    async def waiting(self, builds: Sequence[Projection]) -> Waiting:
        self.asked += 1
        names = {build.name for build in builds}
        return {place: dict(keys) for place, keys in self.keys.items() if place[0] in names}

    async def park(self, build: Projection, record: LogRecord) -> None:
        self.keys[build.name, record.source].setdefault(record.key, record.offset)


def rows_after(projection: Projection, *facts: Recorded) -> dict[str, Rows]:
    """Return table -> key -> row, once the facts were taken in one after another."""
    content = MemoryTables([projection])
    for fact in facts:
        assert type(fact.event) in projection.events, f"{projection.name} never sees {fact.event}"
        content.apply(fold_rows(projection.evolve(fact)))
    return dict(content.rows)
