"""Keys of personal data for readers that do not run in an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.privacy import KeyRing
from infra.places import Places
from infra.postgres.database import Pool, open_pool
from infra.postgres.key_store import PostgresKeyRing
from infra.postgres.sink import store_errors


class Keys(Protocol):
    """A key ring with a ``load`` that is called, not awaited."""

    ring: KeyRing

    def load(self, person_ids: Iterable[str]) -> None:
        """Fetch the keys of these persons, so that ``ring`` can decrypt their fields."""


class _Nobody:
    """The key ring of a reader who was given no key."""

    async def load(self, person_ids: Iterable[str]) -> None:
        """There is nothing to fetch."""

    async def create(self, person_id: str) -> None:
        """Nobody's data is written here."""

    def cipher(self, person_id: str) -> AESGCM | None:  # noqa: ARG002
        return None


class NoKeys:
    """Personal fields read ``erased:<person id>``."""

    def __init__(self) -> None:
        self.ring: KeyRing = _Nobody()

    def load(self, person_ids: Iterable[str]) -> None:
        """There is nothing to fetch."""


class _StoredKeys:
    """Implements ``Keys`` over a ring that lives in an event loop."""

    def __init__(self, ring: KeyRing, runner: asyncio.Runner) -> None:
        self.ring = ring
        self._runner = runner

    def load(self, person_ids: Iterable[str]) -> None:
        self._runner.run(self.ring.load(person_ids))


async def _open(url: str) -> Pool:
    async with store_errors():
        return await open_pool(url, max_size=1)


@contextlib.contextmanager
def stored_keys(places: Places) -> Iterator[Keys]:
    """Open the store of keys: who is not erased reads in plain text.

    Raises:
        StoreUnavailable: PostgreSQL does not answer.
    """
    with asyncio.Runner() as runner:
        pool = runner.run(_open(places.postgres))
        try:
            yield _StoredKeys(PostgresKeyRing(pool, places.master_key), runner)
        finally:
            runner.run(pool.close())
