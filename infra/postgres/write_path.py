"""The write path's state store, claims and idempotency keys in Postgres."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from commands.aggregate import UniqueValue
from commands.ports import CachePosition, DomainPartition, StaleCacheError, StoredState
from infra.postgres.database import Connection, Pool
from infra.postgres.sink import store_errors
from schemas.http.idempotency import KeyState

_POSITION = (
    "SELECT events_next, outcomes_next, last_event FROM state_positions "
    "WHERE domain = $1 AND partition = $2"
)
_MOVE = (
    "INSERT INTO state_positions AS p (domain, partition, events_next, outcomes_next, last_event) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (domain, partition) DO UPDATE SET "
    "events_next = $3, outcomes_next = $4, last_event = $5 "
    "WHERE p.events_next = $6 AND p.outcomes_next = $7 RETURNING true"
)
_SAVE_STATES = (
    "INSERT INTO aggregate_states (stream, domain, version, body) "
    "SELECT s, $2, v, b FROM unnest($1::text[], $3::int[], $4::bytea[]) AS t(s, v, b) "
    "ON CONFLICT (stream) DO UPDATE SET version = excluded.version, body = excluded.body"
)
_SAVE_OUTCOMES = (
    "INSERT INTO command_outcomes (command_id, domain, body) "
    "SELECT c, $2, b FROM unnest($1::uuid[], $3::bytea[]) AS t(c, b) "
    "ON CONFLICT (command_id) DO NOTHING"
)
_BEGIN = (
    "INSERT INTO idempotency_keys AS k (command_id, fingerprint) VALUES ($1, $2) "
    "ON CONFLICT (command_id) DO UPDATE SET started_at = "
    "CASE WHEN k.started_at < now() - $3::interval THEN now() ELSE k.started_at END "
    "RETURNING fingerprint, finished, started_at = now() AS ours"
)
_CLAIM = (
    "INSERT INTO claims AS c (kind, digest, command_id) "
    "SELECT k, d, $3 FROM unnest($1::text[], $2::bytea[]) AS t(k, d) "
    "ON CONFLICT (kind, digest) DO UPDATE SET command_id = c.command_id "
    "RETURNING kind, command_id"
)


class PostgresStateStore:
    """Implements ``commands.ports.StateStore``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def position(self, partition: DomainPartition) -> CachePosition:
        row = await self._pool.fetchrow(_POSITION, partition.domain, partition.partition)
        return CachePosition(*row) if row else CachePosition()

    async def load(
        self,
        partition: DomainPartition,  # noqa: ARG002
        streams: Collection[str],
    ) -> Mapping[str, StoredState]:
        rows = await self._pool.fetch(
            "SELECT stream, version, body FROM aggregate_states WHERE stream = ANY($1)",
            list(streams),
        )
        return {row["stream"]: StoredState(row["version"], row["body"]) for row in rows}

    async def outcomes(
        self,
        partition: DomainPartition,  # noqa: ARG002
        command_ids: Collection[str],
    ) -> Mapping[str, bytes]:
        rows = await self._pool.fetch(
            "SELECT command_id, body FROM command_outcomes WHERE command_id = ANY($1::uuid[])",
            list(command_ids),
        )
        return {str(row["command_id"]): row["body"] for row in rows}

    async def save(
        self,
        partition: DomainPartition,
        before: CachePosition,
        after: CachePosition,
        states: Mapping[str, StoredState],
        outcomes: Mapping[str, bytes],
    ) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await self._move(connection, partition, before, after)
            if states:
                await connection.execute(
                    _SAVE_STATES,
                    list(states),
                    partition.domain,
                    [state.version for state in states.values()],
                    [state.body for state in states.values()],
                )
            if outcomes:
                await connection.execute(
                    _SAVE_OUTCOMES, list(outcomes), partition.domain, list(outcomes.values())
                )

    @staticmethod
    async def _move(
        connection: Connection,
        partition: DomainPartition,
        before: CachePosition,
        after: CachePosition,
    ) -> None:
        moved = await connection.fetchval(
            _MOVE,
            partition.domain,
            partition.partition,
            after.events_next,
            after.outcomes_next,
            after.last_event,
            before.events_next,
            before.outcomes_next,
        )
        if not moved:
            raise StaleCacheError(f"the state of {partition} moved away from {before}")


class PostgresClaims:
    """Implements ``commands.ports.Claims``; values are stored as keyed digests only."""

    def __init__(self, pool: Pool, key: bytes) -> None:
        self._pool = pool
        self._key = key

    async def take(self, command_id: str, values: Sequence[UniqueValue]) -> Sequence[str]:
        ordered = sorted(values, key=lambda value: (value.kind, value.value))
        kinds = [value.kind for value in ordered]
        digests = [self._digest(value) for value in ordered]
        async with self._pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            rows = await connection.fetch(_CLAIM, kinds, digests, command_id)
            taken = [row["kind"] for row in rows if str(row["command_id"]) != command_id]
            await (transaction.rollback() if taken else transaction.commit())
        return taken

    def _digest(self, value: UniqueValue) -> bytes:
        text = f"{value.kind}\x1f{value.value}".encode()
        return hmac.digest(self._key, text, hashlib.sha256)


class PostgresIdempotency:
    """Implements ``schemas.http.idempotency.IdempotencyKeys``."""

    def __init__(self, pool: Pool, lease: timedelta) -> None:
        self._pool = pool
        self._lease = lease

    async def begin(self, command_id: str, fingerprint: str) -> KeyState:
        async with store_errors():
            row = await self._pool.fetchrow(_BEGIN, command_id, fingerprint, self._lease)
        if row is None or row["fingerprint"] == fingerprint:
            running = row is not None and not row["finished"] and not row["ours"]
            return KeyState.RUNNING if running else KeyState.FREE
        return KeyState.OTHER_REQUEST

    async def finish(self, command_id: str) -> None:
        async with store_errors():
            await self._pool.execute(
                "UPDATE idempotency_keys SET finished = true "
                "WHERE command_id = $1 AND NOT finished",
                command_id,
            )

    async def is_finished(self, command_id: str, fingerprint: str) -> bool:
        async with store_errors():
            found: bool = await self._pool.fetchval(
                "SELECT EXISTS (SELECT 1 FROM idempotency_keys WHERE command_id = $1 "
                "AND fingerprint = $2 AND finished)",
                command_id,
                fingerprint,
            )
        return found

    async def release(self, command_id: str) -> None:
        async with store_errors():
            await self._pool.execute(
                "DELETE FROM idempotency_keys WHERE command_id = $1 AND NOT finished", command_id
            )
