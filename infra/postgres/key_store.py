"""The keys of personal data: one a person, wrapped by the master key, destroyed to forget."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.postgres.database import Pool
from infra.postgres.sink import store_errors

#: Keys held in memory; an AES-GCM context takes well under a kilobyte.
MEMORY_KEYS = 100_000
_NONCE_BYTES = 12


def derive_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose from a secret of high entropy."""
    return hashlib.blake2b(secret.encode(), person=purpose.encode()[:16], digest_size=32).digest()


class PostgresKeyRing:
    """Implements ``events.privacy.KeyRing``."""

    def __init__(self, pool: Pool, master_key: str) -> None:
        self._pool = pool
        self._wrap = AESGCM(derive_key(master_key, "person-keys"))
        self._ciphers: OrderedDict[str, AESGCM | None] = OrderedDict()

    async def load(self, person_ids: Iterable[str]) -> None:
        wanted = set(person_ids)
        missing = [person for person in wanted if person not in self._ciphers]
        for person in wanted.difference(missing):
            self._ciphers.move_to_end(person)
        if missing:
            await self._fetch(missing)

    async def _fetch(self, person_ids: list[str]) -> None:
        async with store_errors():
            rows = await self._pool.fetch(
                "SELECT person_id, wrapped_key FROM person_keys WHERE person_id = ANY($1::uuid[])",
                person_ids,
            )
        found = {str(row["person_id"]): row["wrapped_key"] for row in rows}
        for person in person_ids:
            wrapped = found.get(person)
            self._ciphers[person] = self._unwrap(person, wrapped) if wrapped else None
        while len(self._ciphers) > MEMORY_KEYS:
            self._ciphers.popitem(last=False)

    async def create(self, person_id: str) -> None:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._wrap.encrypt(nonce, AESGCM.generate_key(256), person_id.encode())
        async with store_errors():
            await self._pool.execute(
                "INSERT INTO person_keys (person_id, wrapped_key) VALUES ($1, $2) "
                "ON CONFLICT (person_id) DO NOTHING",
                person_id,
                nonce + sealed,
            )
        self._ciphers.pop(person_id, None)
        await self.load([person_id])

    def cipher(self, person_id: str) -> AESGCM | None:
        return self._ciphers[person_id]

    def _unwrap(self, person_id: str, wrapped: bytes) -> AESGCM:
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        return AESGCM(self._wrap.decrypt(nonce, sealed, person_id.encode()))
