"""OpenSearch for readers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.opensearch.client import connect, store_errors, unprepared_errors

_PING_TIMEOUT_S = 2


class OpenSearchIndex:
    """Implements ``query_api.reading.SearchIndex``; the namespace is put before every index."""

    def __init__(self, url: str, namespace: str = "") -> None:
        self._client = connect(url)
        self._namespace = namespace

    async def search(self, index: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer of ``_search``; raises StoreUnavailable, also where no index is yet."""
        async with store_errors(), unprepared_errors():
            answer: Mapping[str, Any] = await self._client.search(
                index=self._namespace + index, body=dict(body)
            )
        return answer

    async def ping(self) -> None:
        """Raise StoreUnavailable unless the cluster answers."""
        async with store_errors():
            await self._client.cluster.health(request_timeout=_PING_TIMEOUT_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
