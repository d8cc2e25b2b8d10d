"""Texts of a person in every table, key, document and object name of the stores.

Nothing is taken on trust: what is searched is what the servers list, not what StreamHub believes
to have written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any

from infra.bootstrap.core import Core
from infra.clickhouse.client import ClickHouse
from infra.gdpr.needles import Finding, Needles, leaves
from infra.opensearch.client import connect as connect_opensearch
from infra.opensearch.client import store_errors as opensearch_errors
from infra.postgres.sink import store_errors as postgres_errors
from infra.redis.connection import connect as connect_redis
from infra.redis.connection import store_errors as redis_errors

_PAGE = 1_000
#: Rows of a ClickHouse table that are looked at more closely; one is enough to fail.
_SUSPECTS_MAX = 1_000
#: What is asked of ClickHouse travels in a URL: beginnings of texts, a few at a time.
_BEGINNING_CHARACTERS = 64
_BEGINNINGS_MAX = 50
_SCROLL_LIFE = "2m"
_POSTGRES_TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
)
_CLICKHOUSE_TABLES = (
    "SELECT database, name FROM system.tables WHERE engine NOT LIKE '%View' AND "
    "database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') ORDER BY database, name"
)
_CLICKHOUSE_SUSPECTS = (
    "SELECT formatRow('TSVRaw', *) AS line FROM {table} WHERE arrayExists("
    "text -> positionCaseInsensitiveUTF8(line, text) > 0, {{texts:Array(String)}}) "
    "LIMIT {limit}"
)


class StoreSearch:
    """Looks for a person's texts; ``shared`` ones count only beside the person's own id."""

    def __init__(self, person_id: str, needles: Needles, shared: Collection[str]) -> None:
        self.searched: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self._person_id = person_id
        self._needles = needles
        # Anybody may have the same device; it says nothing, wherever it stands.
        self._shared = set(shared)
        self._nobodys = {
            text
            for text in shared
            if all(kind.startswith("session.") for kind in needles.kinds[text])
        }

    async def search(self, core: Core) -> None:
        """Look through all stores.

        Raises:
            StoreUnavailable, Unavailable: a store is away; nothing is proven.
        """
        searches: dict[str, Callable[[Core], Awaitable[None]]] = {
            "PostgreSQL": self._postgres,
            "Redis": self._redis,
            "ClickHouse": self._clickhouse,
            "OpenSearch": self._opensearch,
            "object storage": self._objects,
        }
        for store, look_through in searches.items():
            self.searched[store] = 0
            await look_through(core)

    def _look(self, store: str, place: str, value: Any) -> None:
        self.searched[store] += 1
        if isinstance(value, str) and not self._needles.may_be_in(value):
            return
        found = self._needles.in_value(value)
        if not found:
            return
        theirs = any(self._person_id in leaf for leaf in leaves(value))
        for text in sorted(found):
            if text not in self._shared or (theirs and text not in self._nobodys):
                kinds = ", ".join(self._needles.kinds[text])
                self.findings.append(Finding(f"{store} {place}", kinds))

    async def _postgres(self, core: Core) -> None:
        async with postgres_errors(), core.pool.acquire() as connection:
            for table in [row[0] for row in await connection.fetch(_POSTGRES_TABLES)]:
                async with connection.transaction(readonly=True):
                    query = f"SELECT t.ctid::text AS place, to_jsonb(t)::text AS row FROM {table} t"  # noqa: S608
                    async for row in connection.cursor(query, prefetch=_PAGE):
                        self._look("PostgreSQL", f"{table} {row['place']}", row["row"])

    async def _redis(self, core: Core) -> None:
        redis: Any = connect_redis(core.places.redis)
        try:
            async with redis_errors():
                async for key in redis.scan_iter(count=_PAGE):
                    self._look("Redis", key, [key, await _redis_value(redis, key)])
        finally:
            await redis.aclose()

    async def _clickhouse(self, core: Core) -> None:
        server = ClickHouse(core.places.clickhouse)
        try:
            for row in await server.query(_CLICKHOUSE_TABLES):
                await self._clickhouse_table(server, f"`{row['database']}`.`{row['name']}`")
        finally:
            await server.close()

    async def _clickhouse_table(self, server: ClickHouse, table: str) -> None:
        """Let the server look first: a table of facts is too long to be carried here."""
        [count] = await server.query(f"SELECT count() AS rows FROM {table}")  # noqa: S608
        self.searched["ClickHouse"] += count["rows"]
        query = _CLICKHOUSE_SUSPECTS.format(table=table, limit=_SUSPECTS_MAX)
        beginnings = sorted({text[:_BEGINNING_CHARACTERS] for text in self._needles.texts()})
        for at in range(0, len(beginnings), _BEGINNINGS_MAX):
            texts = {"texts": beginnings[at : at + _BEGINNINGS_MAX]}
            for row in await server.query(query, texts):
                self.searched["ClickHouse"] -= 1
                line = row["line"].removesuffix("\n")
                self._look("ClickHouse", table, line.split("\t"))

    async def _opensearch(self, core: Core) -> None:
        client = connect_opensearch(core.places.opensearch)
        try:
            async with opensearch_errors():
                await client.indices.refresh(index="*")
                async for document in _documents(client):
                    place = f"{document['_index']}/{document['_id']}"
                    self._look("OpenSearch", place, [document["_id"], document.get("_source")])
        finally:
            await client.close()

    async def _objects(self, core: Core) -> None:
        for key in await core.storage.keys(""):
            self._look("object storage", key, key)


#: Type of a key -> the command that reads all of it, with its arguments.
_REDIS_READS: Mapping[str, tuple[str | int, ...]] = {
    "string": ("GET",),
    "hash": ("HGETALL",),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", 0, -1),
    "list": ("LRANGE", 0, -1),
    "stream": ("XRANGE", "-", "+"),
}


async def _redis_value(redis: Any, key: str) -> Any:
    """Return all that a key holds; nothing where it expired meanwhile."""
    read = _REDIS_READS.get(await redis.type(key))
    return await redis.execute_command(read[0], key, *read[1:]) if read else None


async def _documents(client: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield every document of every index, those of hidden ones included."""
    page = await client.search(
        index="*,.*",
        body={"query": {"match_all": {}}, "size": _PAGE, "sort": ["_doc"]},
        params={"scroll": _SCROLL_LIFE, "expand_wildcards": "all"},
    )
    while page["hits"]["hits"]:
        for document in page["hits"]["hits"]:
            yield document
        page = await client.scroll(body={"scroll_id": page["_scroll_id"], "scroll": _SCROLL_LIFE})
    await client.clear_scroll(body={"scroll_id": page["_scroll_id"]})
