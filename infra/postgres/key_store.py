"""The keys of personal data: one a person, wrapped by the master key, destroyed to forget.

Beside them stand a few keys of services, so that the master key can be changed without what was
made with them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.key_wrapping import KeyWrapper, LocalMasterKey, derive_key
from infra.postgres.database import Pool
from infra.postgres.sink import store_errors

__all__ = ["KEY_LIFE_S", "MEMORY_KEYS", "PostgresKeyRing", "derive_key", "service_key"]

#: Keys held in memory; an AES-GCM context takes well under a kilobyte.
MEMORY_KEYS = 100_000
#: How long a key in memory is believed. A process goes on using a destroyed key for this long at
#: most, counted from when it last loaded it.
KEY_LIFE_S = 5.0


class PostgresKeyRing:
    """Implements ``events.privacy.KeyRing``; ``wrapper`` may be given as a master key's text."""

    def __init__(self, pool: Pool, wrapper: KeyWrapper | str) -> None:
        self._pool = pool
        self._wrapper = LocalMasterKey(wrapper) if isinstance(wrapper, str) else wrapper
        self._ciphers: OrderedDict[str, tuple[AESGCM | None, float]] = OrderedDict()

    async def load(self, person_ids: Iterable[str]) -> None:
        oldest = time.monotonic() - KEY_LIFE_S
        missing = []
        for person in set(person_ids):
            known = self._ciphers.get(person)
            if known is None or known[1] < oldest:
                missing.append(person)
            else:
                self._ciphers.move_to_end(person)
        if missing:
            await self._fetch(missing)

    async def _fetch(self, person_ids: list[str]) -> None:
        asked_at = time.monotonic()
        async with store_errors():
            rows = await self._pool.fetch(
                "SELECT person_id, wrapped_key FROM person_keys WHERE person_id = ANY($1::uuid[])",
                person_ids,
            )
        found = {str(row["person_id"]): row["wrapped_key"] for row in rows}
        for person in person_ids:
            wrapped = found.get(person)
            key = await self._wrapper.unwrap(wrapped, person) if wrapped else None
            self._ciphers[person] = (AESGCM(key) if key else None, asked_at)
            self._ciphers.move_to_end(person)
        while len(self._ciphers) > MEMORY_KEYS:
            self._ciphers.popitem(last=False)

    async def create(self, person_id: str) -> None:
        wrapped = await self._wrapper.wrap(AESGCM.generate_key(256), person_id)
        async with store_errors():
            await self._pool.execute(
                "INSERT INTO person_keys (person_id, wrapped_key) VALUES ($1, $2) "
                "ON CONFLICT (person_id) DO NOTHING",
                person_id,
                wrapped,
            )
        self._ciphers.pop(person_id, None)
        await self.load([person_id])

    async def destroy(self, person_id: str) -> bool:
        """Destroy a person's key for ever; say whether there was one.

        The person can never have a key again. Other processes forget it within ``KEY_LIFE_S``.
        """
        async with store_errors():
            done = await self._pool.fetchval(
                "INSERT INTO person_keys AS k (person_id, destroyed_at) VALUES ($1, now()) "
                "ON CONFLICT (person_id) DO UPDATE SET wrapped_key = NULL, "
                "destroyed_at = coalesce(k.destroyed_at, now()) "
                "RETURNING destroyed_at = now()",
                person_id,
            )
        self._ciphers[person_id] = (None, time.monotonic())
        return bool(done)

    def cipher(self, person_id: str) -> AESGCM | None:
        return self._ciphers[person_id][0]


async def service_key(pool: Pool, wrapper: KeyWrapper, name: str, initial: bytes) -> bytes:
    """Return the key of a service; where it has none yet, ``initial`` becomes it for ever."""
    wrapped = await wrapper.wrap(initial, name)
    async with store_errors():
        stored: bytes = await pool.fetchval(
            "INSERT INTO service_keys AS k (name, wrapped_key) VALUES ($1, $2) "
            "ON CONFLICT (name) DO UPDATE SET name = k.name RETURNING wrapped_key",
            name,
            wrapped,
        )
    return await wrapper.unwrap(stored, name)
