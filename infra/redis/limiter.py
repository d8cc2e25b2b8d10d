"""Rate limits counted in Redis, so that all API processes share them."""

from __future__ import annotations

from pathlib import Path

from infra.http.rate_limits import Limit, Use
from infra.redis.connection import Script, connect, store_errors

_COUNT = Script(Path(__file__).with_name("limiter.lua"))


class RedisLimiter:
    """Implements ``infra.http.rate_limits.Limiter``."""

    def __init__(self, url: str, namespace: str = "") -> None:
        self._redis = connect(url)
        self._namespace = namespace

    async def count(self, limit: Limit, client: str) -> Use:
        # One hash slot for both keys of a client.
        key = f"{self._namespace}ratelimit:{limit.name}:{{{client}}}"
        async with store_errors():
            [(used, reset_s, blocked)] = await _COUNT.run(
                self._redis,
                [((key, f"{key}:block"), (limit.requests, limit.window_s, limit.block_s))],
            )
        return Use(int(used), int(reset_s), bool(blocked))

    async def ping(self) -> None:
        """Raise StoreUnavailable unless Redis answers."""
        async with store_errors():
            await self._redis.ping()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
