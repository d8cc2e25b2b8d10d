"""ClickHouse for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clickhouse_connect.driver.exceptions import DatabaseError

from infra.clickhouse.client import ClickHouse, database_name
from projections.ports import StoreUnavailable

#: UNKNOWN_TABLE and UNKNOWN_DATABASE: no worker has made them yet.
_NOT_PREPARED = frozenset({60, 81})


class ClickHouseAnalytics:
    """Implements ``query_api.reading.Analytics`` over the views of the live versions."""

    def __init__(self, url: str, namespace: str = "") -> None:
        self._client = ClickHouse(url, database_name(namespace))

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        try:
            return await self._client.query(sql, parameters)
        except DatabaseError as error:
            if error.code not in _NOT_PREPARED:
                raise
            raise StoreUnavailable("ClickHouse: no projection has been prepared yet") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
