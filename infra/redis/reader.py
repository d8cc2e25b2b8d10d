"""Redis for readers: counters and sorted sets of the live versions, and who was signed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import query_api
from infra.gathering import Gathering
from infra.redis.connection import Script, connect, store_errors

_HASHES = Script(Path(__file__).with_name("hashes.lua"))
_SCRIPTS = Path(query_api.__path__[0]) / "scripts"


@cache
def _script(name: str) -> Script:
    return Script(_SCRIPTS / f"{name}.lua")


class RedisCounters:
    """Implements ``query_api.reading.Counters``; the namespace is put before every key."""

    def __init__(self, url: str, namespace: str = "") -> None:
        self._redis = connect(url)
        self._namespace = namespace

    async def script(self, name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script of ``query_api/scripts``; raises StoreUnavailable."""
        named = [self._namespace + key for key in keys]
        async with store_errors():
            return (await _script(name).run(self._redis, [(named, arguments)]))[0]

    async def hashes(self, keys: Sequence[str]) -> Sequence[Mapping[str, str]]:
        """Return the hashes at keys such as ``hot_counters:counters:<id>``, in their order."""
        if not keys:
            return []
        async with store_errors():
            (found,) = await _HASHES.run(self._redis, [((), (self._namespace, *keys))])
        return [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in found]

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


class RedisRevocations:
    """Implements ``schemas.http.caller.Revocations`` over what ``sessions`` publishes."""

    def __init__(self, url: str, namespace: str = "") -> None:
        self._redis = connect(url)
        self._namespace = namespace
        self._revoked = Gathering(self._read)

    async def is_revoked(self, session_id: str) -> bool:
        return bool(await self._revoked.ask(session_id))

    async def _read(self, session_ids: Sequence[str]) -> dict[str, bool]:
        async with store_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for session_id in session_ids:
                pipeline.exists(f"{self._namespace}revoked:{session_id}")
            found = await pipeline.execute()
        return dict(zip(session_ids, map(bool, found), strict=True))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
