"""Postgres as queries see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import asyncpg

from infra.postgres.database import Pool
from infra.postgres.sink import store_errors
from query_api.reading import Row


class PostgresRows:
    """Implements ``query_api.reading.Rows``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch(self, query: str, *arguments: Any) -> Sequence[Row]:
        async with store_errors():
            try:
                return cast("Sequence[Row]", await self._pool.fetch(query, *arguments))
            except asyncpg.DataError as error:
                raise ValueError(str(error)) from error

    async def fetchrow(self, query: str, *arguments: Any) -> Row | None:
        async with store_errors():
            return cast("Row | None", await self._pool.fetchrow(query, *arguments))
