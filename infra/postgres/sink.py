"""Postgres as a sink: rows and positions of all projections of a step in one transaction.

A table ``videos`` of version 3 is the physical table ``videos__v3`` behind the view ``videos``;
a new version is built beside the live one and the view is switched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from events.base import TopicPartition
from infra.postgres.database import Connection, Pool
from projections.declaration import Change, Key, Projection, Store, Table
from projections.event_loop import is_of_broken_connection
from projections.folding import RowChange, fold_rows
from projections.ports import PositionMoved, Step, StoreUnavailable

#: Errors after which the same step can be tried again: they say something of the server, a full
#: disk or a standby among it, and nothing of the rows.
RETRIABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    # What the client comes to on a connection that the server is just ending.
    asyncpg.InternalClientError,
    asyncpg.InternalServerError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
)

_MAKE_POSITIONS = (
    "CREATE TABLE IF NOT EXISTS projection_positions ("
    "projection text NOT NULL, build text NOT NULL, topic text NOT NULL, "
    "partition integer NOT NULL, position bigint NOT NULL, "
    "updated_at timestamptz NOT NULL DEFAULT now(), "
    "PRIMARY KEY (projection, build, topic, partition))"
)
#: A step is one statement, and so one transaction: each further one would take a turn of the
#: caller's event loop and of a processor that others want. A position that stands elsewhere divides
#: by nothing, which undoes the whole.
_MOVE = (
    "WITH m AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], "
    "$6::bigint[]) AS m(projection, build, topic, partition, after, before)), "
    "moved AS (UPDATE projection_positions p SET position = m.after, updated_at = now() FROM m "
    "WHERE p.projection = m.projection AND p.build = m.build AND p.topic = m.topic "
    "AND p.partition = m.partition AND p.position = m.before RETURNING 1), "
    "made AS (INSERT INTO projection_positions (projection, build, topic, partition, position) "
    "SELECT projection, build, topic, partition, after FROM m WHERE before = 0 "
    "ON CONFLICT DO NOTHING RETURNING 1)"
)
_MOVED = (
    " SELECT 1 / (cardinality($1) = "
    "(SELECT count(*) FROM moved) + (SELECT count(*) FROM made))::int"
)
#: Where the rows of the writes begin among the parameters.
_FIRST_ROWS = 7
_MAKE_LOCK = 7_215_002
_IS_MISSING = "SELECT to_regclass($1) IS NULL"
#: Rows that are compared at a time.
DIGEST_ROWS = 20_000


def physical(table: Table, projection: Projection) -> str:
    """Return the name of the table that holds the rows of one version."""
    return f"{table.name}__{projection.tag}"


#: The table behind each view. The catalogue's own ``pg_views`` fails where one is just replaced.
_SHOWN = (
    "SELECT v.relname AS view, t.relname AS behind FROM pg_class v "
    "JOIN pg_rewrite r ON r.ev_class = v.oid "
    "JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid "
    "AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid "
    "JOIN pg_class t ON t.oid = d.refobjid "
    "WHERE v.relkind = 'v' AND v.relname = ANY($1) "
    "AND v.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
)


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Turn errors of a server that is away into ``StoreUnavailable``."""
    try:
        yield
    except RETRIABLE as error:
        raise StoreUnavailable(f"Postgres: {type(error).__name__}: {error}") from error
    except RuntimeError as error:
        # The client writes to the loop's transport itself.
        if not is_of_broken_connection(error):
            raise
        raise StoreUnavailable(f"Postgres: {error}") from error


class PostgresSink:
    """Implements ``projections.ports.Sink``."""

    store = Store.POSTGRES
    pace_s = 0.03

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def prepare(self, projections: Sequence[Projection]) -> None:
        async with (
            store_errors(),
            self._pool.acquire() as connection,
            connection.transaction(),
        ):
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _MAKE_LOCK)
            await connection.execute(_MAKE_POSITIONS)
            for projection in projections:
                for table in projection.tables:
                    for name, statement in table_statements(
                        table, physical(table, projection)
                    ).items():
                        # Even where an index is there, CREATE would wait for whoever writes to
                        # its table, and hold up those who go on to it: with two of them for ever.
                        if await connection.fetchval(_IS_MISSING, name):
                            await connection.execute(statement)
                    await _make_view(connection, table, projection)

    async def positions(
        self, projections: Sequence[Projection]
    ) -> Mapping[str, Mapping[TopicPartition, int]]:
        try:
            async with store_errors():
                rows = await self._pool.fetch(
                    "SELECT projection, build, topic, partition, position FROM projection_positions"
                )
        except asyncpg.UndefinedTableError:
            # Nothing was ever prepared: no projection has applied anything.
            return {}
        tags = {projection.name: projection.tag for projection in projections}
        found: dict[str, dict[TopicPartition, int]] = defaultdict(dict)
        for row in rows:
            if tags.get(row["projection"]) == row["build"]:
                source = TopicPartition(row["topic"], row["partition"])
                found[row["projection"]][source] = row["position"]
        return found

    async def switch(self, projection: Projection) -> None:
        async with store_errors(), self._pool.acquire() as connection, connection.transaction():
            for table in projection.tables:
                target = physical(table, projection)
                # Columns may differ, so the view cannot simply be replaced.
                await connection.execute(f"DROP VIEW IF EXISTS {table.name}")
                await connection.execute(f"CREATE VIEW {table.name} AS SELECT * FROM {target}")  # noqa: S608

    async def is_seen(self, projection: Projection) -> bool:
        async with store_errors():
            rows = await self._pool.fetch(_SHOWN, [table.name for table in projection.tables])
        shown = {row["view"]: row["behind"] for row in rows}
        return all(
            shown.get(table.name) == physical(table, projection) for table in projection.tables
        )

    async def drop(self, projection: Projection) -> None:
        async with store_errors(), self._pool.acquire() as connection, connection.transaction():
            for table in projection.tables:
                await connection.execute(f"DROP TABLE IF EXISTS {physical(table, projection)}")
            await connection.execute(
                "DELETE FROM projection_positions WHERE projection = $1 AND build = $2",
                projection.name,
                projection.tag,
            )

    async def digests(
        self, projection: Projection, only: Collection[str] | None = None
    ) -> AsyncIterator[Mapping[str, str]]:
        async with (
            store_errors(),
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            for table in projection.tables:
                names = ", ".join(f"t.{name}::text" for name in table.key)
                key = f"concat_ws(':', '{table.name}', {names})"
                cursor = await connection.cursor(
                    f"SELECT {key}, md5(t::text) FROM {physical(table, projection)} t "  # noqa: S608
                    f"WHERE $1::text[] IS NULL OR {key} = ANY($1)",
                    None if only is None else list(only),
                )
                while rows := await cursor.fetch(DIGEST_ROWS):
                    yield dict(map(tuple, rows))

    async def close(self) -> None:
        """Leave the pool to whoever opened it."""

    async def apply(self, steps: Sequence[Step]) -> None:
        moves = [(step.source, move) for step in steps for move in step.moves]
        changes: dict[str, list[Change]] = defaultdict(list)
        projections = {}
        for _, move in moves:
            changes[move.projection.name].extend(move.changes)
            projections[move.projection.name] = move.projection
        writes = [
            write
            for name, projection in sorted(projections.items())
            for write in _writes(projection, changes[name])
        ]
        try:
            async with store_errors():
                await self._pool.execute(
                    _statement([write for write, _ in writes]),
                    [move.projection.name for _, move in moves],
                    [move.projection.tag for _, move in moves],
                    [source.topic for source, _ in moves],
                    [source.partition for source, _ in moves],
                    [move.after for _, move in moves],
                    [move.before for _, move in moves],
                    *(rows for _, rows in writes),
                )
        except asyncpg.DivisionByZeroError as error:
            raise PositionMoved(f"of {len(moves)} positions some moved away") from error


def _statement(writes: Sequence[str]) -> str:
    """Return a step as one statement. Its writes do not see each other: none shares a row."""
    parts = [
        f", w{number} AS ({write.format(rows=f'${_FIRST_ROWS + number}')})"
        for number, write in enumerate(writes)
    ]
    return "".join((_MOVE, *parts, _MOVED))


def _writes(projection: Projection, changes: Sequence[Change]) -> Iterator[tuple[str, str]]:
    """Yield a write with a place for its ``rows``, and these as JSON."""
    tables = {table.name: table for table in projection.tables}
    for name, rows in fold_rows(changes).items():
        table = tables[name]
        target = physical(table, projection)
        for columns, batch in _by_columns(rows).items():
            write = _removal(target, table) if columns is None else _upsert(target, table, columns)
            body = orjson.dumps([_row(table, key, change) for key, change in batch], default=str)
            yield write, body.decode()


@dataclass(frozen=True, slots=True)
class _Columns:
    """What rows put and add to; they are ``new`` where one that is there goes first."""

    put: tuple[str, ...]
    add: tuple[str, ...]
    new: bool

    @classmethod
    def of(cls, change: RowChange) -> _Columns | None:
        """Return the columns of a change, or None where it only removes the row."""
        if not change.put and not change.add:
            return None
        return cls(tuple(sorted(change.put)), tuple(sorted(change.add)), change.removed)


def _by_columns(
    rows: Mapping[Key, RowChange],
) -> dict[_Columns | None, list[tuple[Key, RowChange]]]:
    """Group rows by their columns: each group is one write."""
    groups: dict[_Columns | None, list[tuple[Key, RowChange]]] = defaultdict(list)
    # In one order everywhere, so that two workers on the same rows do not wait for each other.
    for key, change in sorted(rows.items(), key=lambda row: str(row[0])):
        groups[_Columns.of(change)].append((key, change))
    return groups


def _row(table: Table, key: Key, change: RowChange) -> dict[str, Any]:
    return {**dict(zip(table.key, key, strict=True)), **change.put, **change.add}


def _removal(target: str, table: Table) -> str:
    names = ", ".join(table.key)
    return (
        f"DELETE FROM {target} WHERE ({names}) IN "  # noqa: S608 - names are the declaration's own
        f"(SELECT {names} FROM json_populate_recordset(NULL::{target}, {{rows}}))"
    )


def _upsert(target: str, table: Table, columns: _Columns) -> str:
    names = ", ".join((*table.key, *columns.put, *columns.add))
    if columns.new:
        # What the rows do not say is as in any other row that is made.
        changes = ", ".join(f"{name} = excluded.{name}" for name in table.columns)
    else:
        changes = ", ".join(
            [f"{name} = excluded.{name}" for name in columns.put]
            + [f"{name} = t.{name} + excluded.{name}" for name in columns.add]
        )
    return (
        f"INSERT INTO {target} AS t ({names}) "  # noqa: S608 - names are the declaration's own
        f"SELECT {names} FROM json_populate_recordset(NULL::{target}, {{rows}}) "
        f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changes}"
    )


def table_statements(table: Table, target: str) -> dict[str, str]:
    """Return the statements that make a table with its key and its indexes, by what they make."""
    columns = ", ".join(f"{name} {kind}" for name, kind in table.columns.items())
    indexes = {
        f"{target}_{number}": f"CREATE INDEX {target}_{number} ON {target} {index}"
        for number, index in enumerate(table.indexes)
    }
    return {
        target: f"CREATE TABLE {target} ({columns}, PRIMARY KEY ({', '.join(table.key)}))",
        **indexes,
    }


async def _make_view(connection: Connection, table: Table, projection: Projection) -> None:
    """Point the view at this version unless it already stands for one."""
    if await connection.fetchval(_IS_MISSING, table.name):
        target = physical(table, projection)
        await connection.execute(f"CREATE VIEW {table.name} AS SELECT * FROM {target}")  # noqa: S608
