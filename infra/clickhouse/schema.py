"""Tables of a projection in ClickHouse: one physical table, a view for each declared one.

A step that writes to two tables cannot be atomic in ClickHouse, a part of one table is. So the rows
of all tables of a projection stand in one physical table, told apart by ``relation``, and the
position of a partition is one more row beside them: a step is one insert of one part, and either
all of it is there or nothing.

The physical table ``viewing__v1`` is a ReplacingMergeTree whose key ends in offset, topic and
partition, so that an event which is written again replaces itself; the views read with FINAL. Later
parts hold later offsets, so that under one key of the projection's own they hardly overlap, and
FINAL has little to merge: with a time in the key it cost three times as much. There are no
partitions of time, since an insert across two of those would be two parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from projections.declaration import Projection, Table

#: What the sink adds to the declared columns. ``reached`` is 0 but in rows that hold a position.
SINK_COLUMNS = {
    "relation": "LowCardinality(String)",
    "topic": "LowCardinality(String)",
    "partition": "UInt16",
    "offset": "UInt64",
    "reached": "UInt64",
}
#: The relation of the rows that hold positions.
POSITIONS = ""
#: Parts reach the disk before they are acknowledged: were one lost with the power and a later one
#: not, the position would stand behind a hole. Merged parts are kept for eight minutes by default,
#: in which the small parts of a busy time would be files by the ten thousand.
_SETTINGS = "fsync_after_insert = 1, fsync_part_directory = 1, old_parts_lifetime = 60"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def physical(projection: Projection) -> str:
    """Return the table that holds all rows of a projection's version."""
    return f"{projection.name}__{projection.tag}"


def columns_of(projection: Projection) -> dict[str, str]:
    """Return the columns of the physical table with their types, in order."""
    columns = dict(SINK_COLUMNS)
    for table in _stored(projection):
        for name, kind in table.columns.items():
            if columns.setdefault(name, kind) != kind:
                raise ValueError(f"the tables of {projection.name} disagree about {name}")
    return columns


def zeros_of(projection: Projection) -> list[Any]:
    """Return the value of each column for rows that have no such column."""
    return [_zero(kind) for kind in columns_of(projection).values()]


def statements(projection: Projection) -> Iterator[str]:
    """Yield the statements that make what is missing; each can be repeated."""
    columns = ", ".join(f"{name} {kind}" for name, kind in columns_of(projection).items())
    key = ", ".join(("relation", *_key(projection), "offset", "topic", "partition"))
    yield (
        f"CREATE TABLE IF NOT EXISTS {physical(projection)} ({columns}) "
        f"ENGINE = ReplacingMergeTree(reached) ORDER BY ({key}) SETTINGS {_SETTINGS}"
    )
    for table in projection.tables:
        name = f"{table.name}__{projection.tag}"
        yield f"CREATE VIEW IF NOT EXISTS {name} AS {_select(table, projection)}"
        yield f"CREATE VIEW IF NOT EXISTS {table.name} AS SELECT * FROM {name}"  # noqa: S608


def switch_statements(projection: Projection) -> Iterator[str]:
    """Yield the statements that point what readers see to this build."""
    for table in projection.tables:
        name = f"{table.name}__{projection.tag}"
        yield f"CREATE OR REPLACE VIEW {table.name} AS SELECT * FROM {name}"  # noqa: S608


def drop_statements(projection: Projection) -> Iterator[str]:
    """Yield the statements that remove a build."""
    for table in reversed(projection.tables):
        yield f"DROP VIEW IF EXISTS {table.name}__{projection.tag}"
    yield f"DROP TABLE IF EXISTS {physical(projection)} SYNC"


def digest_query(projection: Projection, *, some: bool = False) -> str:
    """Return the query for place and digest of the rows that a range of offsets left.

    ``some`` of them: those whose places are in the parameter ``only``.
    """
    place = ", ".join(("relation", *_key(projection), "offset", "topic", "partition"))
    return (
        f"SELECT toString(tuple({place})) AS place, "  # noqa: S608 - declared names
        "toString(cityHash64(toString(tuple(*)))) AS digest "
        f"FROM {physical(projection)} FINAL WHERE relation != {{positions:String}} "
        "AND topic = {topic:String} AND partition = {partition:UInt16} "
        "AND offset >= {start:UInt64} AND offset < {end:UInt64}"
        + (" AND has({only:Array(String)}, place)" if some else "")
    )


def _stored(projection: Projection) -> list[Table]:
    """Return the tables that hold rows; the others only select from them."""
    return [table for table in projection.tables if "select" not in table.options]


def _key(projection: Projection) -> tuple[str, ...]:
    keys = {table.key for table in _stored(projection)}
    if len(keys) != 1:
        raise ValueError(f"the tables of {projection.name} need one key, for they share a table")
    return keys.pop()


def _select(table: Table, projection: Projection) -> str:
    if "select" in table.options:
        versioned = {t.name: f"{t.name}__{projection.tag}" for t in projection.tables}
        return str(table.options["select"]).format(**versioned)
    columns = ", ".join((*table.columns, "topic", "partition", "offset"))
    return (
        f"SELECT {columns} FROM {physical(projection)} FINAL "  # noqa: S608 - declared names
        f"WHERE relation = '{table.name}'"
    )


def _zero(kind: str) -> Any:
    """Return ClickHouse's own default of a type."""
    if "Nullable(" in kind:
        return None
    if kind.startswith(("Date", "DateTime")):
        return _EPOCH
    if kind.startswith("Array("):
        return []
    if "String" in kind:
        return ""
    return str(UUID(int=0)) if kind == "UUID" else 0
