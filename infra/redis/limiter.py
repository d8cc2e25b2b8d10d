"""Rate limits counted in Redis, so that all API processes share them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from infra.http.rate_limits import Limit, Use
from infra.redis.connection import Script, connect, store_errors

_COUNT = Script(Path(__file__).with_name("limiter.lua"))
_PAGE = 1_000


class RedisLimiter:
    """Implements ``infra.http.rate_limits.Limiter``."""

    def __init__(self, url: str, namespace: str = "") -> None:
        self._redis = connect(url)
        self._namespace = namespace

    async def count(self, limit: Limit, client: str, place: str) -> Use:
        # One hash slot for all keys of a client.
        key = f"{self._of(client)}{limit.name}:{place}"
        async with store_errors():
            [(used, reset_s, blocked)] = await _COUNT.run(
                self._redis,
                [((key, f"{key}:block"), (limit.requests, limit.window_s, limit.block_s))],
            )
        return Use(int(used), int(reset_s), bool(blocked))

    def _of(self, client: str) -> str:
        """Return what all keys of a client begin with."""
        return f"{self._namespace}ratelimit:{{{client}}}:"

    async def forget(self, clients: Collection[str]) -> None:
        """Drop what was counted of clients, and their blocks, for all limits and places.

        Raises:
            StoreUnavailable: Redis is away.
        """
        theirs = tuple(map(self._of, clients))
        async with store_errors():
            # Once through all keys, however many clients.
            async for key in self._redis.scan_iter(f"{self._namespace}ratelimit:*", count=_PAGE):
                if key.startswith(theirs):
                    await self._redis.delete(key)

    async def ping(self) -> None:
        """Raise StoreUnavailable unless Redis answers."""
        async with store_errors():
            await self._redis.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
