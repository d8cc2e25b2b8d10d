"""Keys of persons in PostgreSQL: destroyed for everybody, wrapped anew under a new master key."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from events import clock
from events.privacy import decrypt_text, encrypt_text
from infra.gdpr.rotation import rotate_keys
from infra.key_wrapping import KeyNotUnwrapped, LocalMasterKey
from infra.postgres.database import Pool, migrate, open_pool
from infra.postgres.key_store import KEY_LIFE_S, PostgresKeyRing, derive_key, service_key
from tests.conftest import Servers
from tests.support.waiting import eventually

OLD, NEW = "the master key of last year, long enough", "the master key of this year, long enough"
TEXT = "ada@example.org"


@pytest_asyncio.fixture
async def pool(servers: Servers) -> AsyncIterator[Pool]:
    """A database of its own, migrated."""
    url = servers["postgres"]
    name = f"keys_{secrets.token_hex(4)}"
    manager = await asyncpg.connect(url)
    await manager.execute(f"CREATE DATABASE {name}")
    opened = await open_pool(f"{url.rpartition('/')[0]}/{name}")
    try:
        await migrate(opened)
        yield opened
    finally:
        await opened.close()
        await manager.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await manager.close()


async def test_a_destroyed_key_is_used_by_no_process_for_long(pool: Pool) -> None:
    ada = clock.new_id()
    here, elsewhere = PostgresKeyRing(pool, OLD), PostgresKeyRing(pool, OLD)
    await here.create(ada)
    await elsewhere.load([ada])
    stored = encrypt_text(TEXT, ada, elsewhere)
    assert await here.destroy(ada) is True
    destroyed_at = time.monotonic()
    assert decrypt_text(stored, here) == f"erased:{ada}"

    async def forgotten() -> bool:
        await elsewhere.load([ada])
        return decrypt_text(stored, elsewhere) == f"erased:{ada}"

    await eventually("the key forgotten elsewhere", forgotten, KEY_LIFE_S + 5.0)
    assert time.monotonic() - destroyed_at <= KEY_LIFE_S + 1.0
    assert encrypt_text("anything new", ada, elsewhere) == f"erased:{ada}"


async def test_a_destroyed_key_never_comes_back(pool: Pool) -> None:
    ada = clock.new_id()
    ring = PostgresKeyRing(pool, OLD)
    assert await ring.destroy(ada) is True
    assert await ring.destroy(ada) is False
    await ring.create(ada)
    assert ring.cipher(ada) is None


async def test_a_new_master_key_opens_what_the_old_one_wrapped(pool: Pool) -> None:
    people = [clock.new_id() for _ in range(3)]
    old = PostgresKeyRing(pool, OLD)
    for person in people:
        await old.create(person)
    await old.destroy(people[1])
    stored = encrypt_text(TEXT, people[0], old)
    both = LocalMasterKey(NEW, OLD)
    during = PostgresKeyRing(pool, both)
    await during.load(people)
    assert decrypt_text(stored, during) == TEXT

    told: list[int] = []
    assert await rotate_keys(pool, both, told.append) == 2
    assert told == [2]
    afterwards = PostgresKeyRing(pool, NEW)
    await afterwards.load(people)
    assert decrypt_text(stored, afterwards) == TEXT
    assert afterwards.cipher(people[1]) is None
    with pytest.raises(KeyNotUnwrapped):
        await PostgresKeyRing(pool, OLD).load([people[0]])
    assert await rotate_keys(pool, LocalMasterKey(NEW), told.append) == 2


async def test_a_third_master_key_opens_nothing(pool: Pool) -> None:
    ada = clock.new_id()
    await PostgresKeyRing(pool, OLD).create(ada)
    with pytest.raises(KeyNotUnwrapped, match="STREAMHUB_MASTER_KEY_OLD"):
        await rotate_keys(pool, LocalMasterKey(NEW), lambda _done: None)
    again = PostgresKeyRing(pool, OLD)
    await again.load([ada])
    assert again.cipher(ada) is not None


async def test_the_key_of_claims_outlives_the_master_key(pool: Pool) -> None:
    first = derive_key(OLD, "claims")
    assert await service_key(pool, LocalMasterKey(OLD), "claims", first) == first
    both = LocalMasterKey(NEW, OLD)
    other = derive_key(NEW, "claims")
    assert await service_key(pool, both, "claims", other) == first
    await rotate_keys(pool, both, lambda _done: None)
    assert await service_key(pool, LocalMasterKey(NEW), "claims", other) == first
