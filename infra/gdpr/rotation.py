"""A new master key: every stored key is wrapped anew, while everything runs."""

from __future__ import annotations

from collections.abc import Callable

from infra.key_wrapping import KeyWrapper
from infra.postgres.database import Pool
from infra.postgres.sink import store_errors

_BATCH = 1_000
_NEXT = (
    "SELECT person_id, wrapped_key FROM person_keys "
    "WHERE wrapped_key IS NOT NULL AND person_id > $1 ORDER BY person_id LIMIT $2"
)
#: A key that was destroyed or wrapped in between stays as it is.
_REWRAP = (
    "UPDATE person_keys k SET wrapped_key = n.wrapped FROM "
    "unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS n(person_id, before, wrapped) "
    "WHERE k.person_id = n.person_id AND k.wrapped_key = n.before"
)
_FIRST = "00000000-0000-0000-0000-000000000000"


async def rotate_keys(pool: Pool, wrapper: KeyWrapper, tell: Callable[[int], None]) -> int:
    """Wrap every key anew under the present master key; return how many there are.

    ``wrapper`` opens what the present and the former master key wrapped. Doing it again is
    harmless; ``tell`` hears how many are done.

    Raises:
        KeyNotUnwrapped: a key was wrapped by a third one; those before it are done.
        StoreUnavailable: PostgreSQL is away; begin again.
    """
    done = await _rotate_services(pool, wrapper)
    after = _FIRST
    while True:
        async with store_errors():
            rows = await pool.fetch(_NEXT, after, _BATCH)
        if not rows:
            return done
        people = [str(row["person_id"]) for row in rows]
        before = [row["wrapped_key"] for row in rows]
        wrapped = [
            await wrapper.wrap(await wrapper.unwrap(old, person), person)
            for person, old in zip(people, before, strict=True)
        ]
        async with store_errors():
            await pool.execute(_REWRAP, people, before, wrapped)
        after, done = people[-1], done + len(people)
        tell(done)


async def _rotate_services(pool: Pool, wrapper: KeyWrapper) -> int:
    async with store_errors():
        rows = await pool.fetch("SELECT name, wrapped_key FROM service_keys")
        for row in rows:
            key = await wrapper.unwrap(row["wrapped_key"], row["name"])
            await pool.execute(
                "UPDATE service_keys SET wrapped_key = $2 WHERE name = $1",
                row["name"],
                await wrapper.wrap(key, row["name"]),
            )
    return len(rows)
