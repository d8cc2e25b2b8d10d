"""The pool of connections and the versioned migrations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection

log = structlog.get_logger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
#: Any number does, so long as every process takes the same one.
_MIGRATION_LOCK = 7_215_001
#: Of a process at most (SH-165).
CONNECTIONS = 20


async def open_pool(url: str, *, max_size: int = CONNECTIONS, **options: Any) -> Pool:
    """Return a pool (SH-165: connections idle for 30 s at most, 2 s to connect)."""
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=max_size,
        max_inactive_connection_lifetime=30.0,
        timeout=2.0,
        command_timeout=30.0,
        reset=_leave,
        **options,
    )


async def _leave(connection: Connection) -> None:
    """Return a connection as it is: nobody changes a session, and resetting is a round trip."""
    if connection.is_in_transaction():
        await connection.reset()


async def migrate(pool: Pool) -> list[str]:
    """Apply the migrations that are newer than the recorded version, in order, each in a step.

    Returns the names of those applied. Several processes may call it at once.
    """
    applied = []
    async with pool.acquire() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
        try:
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations ("
                "name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            known = {
                r["name"] for r in await connection.fetch("SELECT name FROM schema_migrations")
            }
            for path in sorted(MIGRATIONS.glob("*.sql")):
                if path.name not in known:
                    await _apply(connection, path)
                    applied.append(path.name)
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", _MIGRATION_LOCK)
    return applied


async def _apply(connection: Connection, path: Path) -> None:
    async with connection.transaction():
        await connection.execute(path.read_text())
        await connection.execute("INSERT INTO schema_migrations (name) VALUES ($1)", path.name)
    log.info("migration_applied", name=path.name)
