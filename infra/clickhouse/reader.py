"""ClickHouse for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.clickhouse.client import ClickHouse, database_name, unprepared_errors


class ClickHouseAnalytics:
    """Implements ``query_api.reading.Analytics`` over the views of the live versions."""

    def __init__(self, url: str, namespace: str = "") -> None:
        self._client = ClickHouse(url, database_name(namespace))

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        async with unprepared_errors():
            return await self._client.query(sql, parameters)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
