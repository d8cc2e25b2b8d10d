"""The connection to ClickHouse: opened at its first use, and its errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from clickhouse_connect.driver import create_async_client, options
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    OperationalError,
    StreamFailureError,
)

from events.errors import StreamHubError
from infra.clickhouse.types import column_type
from projections.ports import StoreUnavailable

#: Server errors after which the same request can be tried again, by the codes of ClickHouse's
#: system.errors.
RETRIABLE_CODES = frozenset(
    {
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        159,  # TIMEOUT_EXCEEDED
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        236,  # ABORTED
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        285,  # TOO_FEW_LIVE_REPLICAS
        319,  # UNKNOWN_STATUS_OF_INSERT
        999,  # KEEPER_EXCEPTION
    }
)
#: UNKNOWN_TABLE and UNKNOWN_DATABASE: no worker has made them yet, or somebody dropped them.
_MISSING = frozenset({60, 81})
_CONNECT_TIMEOUT_S = 2
_ANSWER_TIMEOUT_S = 30
# At its first insert the client imports pandas, where it is installed, only to ask whether the data
# is a table of it: 66 MB, and up to a second of a still event loop.
options.pd = options.pd_time_test = None


def database_name(namespace: str) -> str:
    """Return the database that holds everything of StreamHub."""
    return f"{namespace}streamhub"


class ClickHouseRefused(StreamHubError):
    """The server will not do it, now or later; ``server_code`` is ClickHouse's own."""

    code = "CLICKHOUSE_REFUSED"

    def __init__(self, message: str, server_code: int) -> None:
        super().__init__(message)
        self.server_code = server_code


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Turn errors of a server that is away or too busy into ``StoreUnavailable``.

    What the client itself cannot write (a value that does not fit its column) passes through.
    """
    try:
        yield
    except DatabaseError as error:
        if isinstance(error, OperationalError) or error.code in RETRIABLE_CODES:
            raise StoreUnavailable(f"ClickHouse: {error}") from error
        if error.code is None:
            raise
        raise ClickHouseRefused(str(error), error.code) from error
    except (OSError, TimeoutError, aiohttp.ClientError, StreamFailureError) as error:
        raise StoreUnavailable(f"ClickHouse: {type(error).__name__}: {error}") from error


@asynccontextmanager
async def unprepared_errors() -> AsyncIterator[None]:
    """Turn errors about missing tables into ``StoreUnavailable``: workers make them."""
    try:
        yield
    except ClickHouseRefused as error:
        if error.server_code not in _MISSING:
            raise
        raise StoreUnavailable("ClickHouse: the tables have not been made yet") from error


class ClickHouse:
    """A client of ``http://user:password@host:port`` for one event loop.

    Every method raises StoreUnavailable, or ClickHouseRefused for what no retry mends.
    """

    def __init__(self, url: str, database: str = "") -> None:
        self._url = urlsplit(url)
        self._database = database
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()

    async def command(self, sql: str) -> None:
        """Run a statement that answers nothing."""
        async with store_errors():
            await (await self._connected()).command(sql)

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return all rows; ``parameters`` bind ``{name:Type}``."""
        async with store_errors():
            client = await self._connected()
            result = await client.query(sql, parameters=dict(parameters or {}))
            return list(result.named_results())

    async def insert(
        self,
        table: str,
        columns: Mapping[str, str],
        values: Sequence[Sequence[Any]],
        settings: Mapping[str, Any],
    ) -> None:
        """Insert the values of these columns, one sequence a column.

        Naming the columns' types spares a question to the server.
        """
        async with store_errors():
            await (await self._connected()).insert(
                table,
                values,
                column_names=list(columns),
                column_types=[column_type(kind) for kind in columns.values()],
                column_oriented=True,
                settings=dict(settings),
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await create_async_client(
                    host=self._url.hostname or "",
                    port=self._url.port or 0,
                    interface=self._url.scheme,
                    username=unquote(self._url.username or "") or None,
                    password=unquote(self._url.password or ""),
                    database=self._database or None,
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    send_receive_timeout=_ANSWER_TIMEOUT_S,
                    compress="lz4",
                )
            return self._client
