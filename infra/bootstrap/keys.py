"""Keys of an installation that outlive the master key that they were first derived from."""

from __future__ import annotations

from infra.bootstrap.core import Core
from infra.postgres.key_store import derive_key, service_key


async def lasting_key(core: Core, name: str) -> bytes:
    """Return the key of that name, the same for all processes; raises StoreUnavailable."""
    first = core.settings.master_key_old.get_secret_value() or core.places.master_key
    return await service_key(core.pool, core.wrapper, name, derive_key(first, name))
