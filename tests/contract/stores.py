"""The four stores behind one face: a sink by any route, and what the store then says."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from infra.clickhouse.client import ClickHouse, database_name
from infra.clickhouse.reader import ClickHouseAnalytics
from infra.clickhouse.sink import ClickHouseSink
from infra.opensearch.client import connect as connect_opensearch
from infra.opensearch.reader import OpenSearchIndex
from infra.opensearch.sink import OpenSearchSink
from infra.postgres.database import Pool, open_pool
from infra.postgres.sink import PostgresSink
from infra.redis.reader import RedisCounters
from infra.redis.sink import RedisSink
from projections.declaration import Projection
from projections.hot_counters import HOT_COUNTERS, counters_key
from projections.ports import Sink
from projections.trending import TRENDING
from projections.video_index import VIDEO_INDEX
from projections.viewing import VIEWING
from projections.watch_page import WATCH_PAGE

#: Video -> what a store says about it: views, likes, and the title where the store keeps one.
Facts = dict[str, dict[str, Any]]


class Store(Protocol):
    """A store with a place in it that is this test's own."""

    @property
    def server_url(self) -> str: ...

    @property
    def projections(self) -> Sequence[Projection]: ...

    @property
    def facts(self) -> frozenset[str]:
        """Which facts about a video it keeps."""

    async def open(self) -> None:
        """Make the place."""

    async def sink(self, server_url: str) -> Sink:
        """Return a new sink to the place by way of that URL."""

    async def close_sink(self, sink: Sink) -> None:
        """Close its connections."""

    async def read(self, videos: Sequence[str]) -> Facts:
        """Return what a reader sees of those videos."""

    async def close(self) -> None:
        """Remove the place."""


def own_name() -> str:
    """Return a name that nothing else has."""
    return f"t{uuid.uuid4().hex[:12]}"


class PostgresStore:
    name = "postgres"
    projections = (WATCH_PAGE,)
    facts = frozenset({"views", "likes", "title"})

    def __init__(self, server_url: str) -> None:
        self.server_url = server_url
        self._database = own_name()
        self._pools: dict[int, Pool] = {}

    def url(self, server_url: str) -> str:
        return urlunsplit(urlsplit(server_url)._replace(path=f"/{self._database}"))

    async def open(self) -> None:
        await self._manage(f"CREATE DATABASE {self._database}")

    async def sink(self, server_url: str) -> Sink:
        pool = await open_pool(self.url(server_url), max_size=2)
        sink = PostgresSink(pool)
        self._pools[id(sink)] = pool
        return sink

    async def close_sink(self, sink: Sink) -> None:
        self._pools.pop(id(sink)).terminate()

    async def read(self, videos: Sequence[str]) -> Facts:
        connection = await asyncpg.connect(self.url(self.server_url))
        try:
            rows = await connection.fetch(
                "SELECT id::text, title, view_count AS views, like_count AS likes FROM videos "
                "WHERE id = ANY($1::uuid[])",
                videos,
            )
        finally:
            await connection.close()
        return {row["id"]: {fact: row[fact] for fact in self.facts} for row in rows}

    async def close(self) -> None:
        await self._manage(f"DROP DATABASE {self._database} WITH (FORCE)")

    async def _manage(self, statement: str) -> None:
        connection = await asyncpg.connect(self.server_url)
        await connection.execute(statement)
        await connection.close()


class RedisStore:
    name = "redis"
    projections = (HOT_COUNTERS, TRENDING)
    facts = frozenset({"views", "likes"})

    def __init__(self, server_url: str) -> None:
        self.server_url = server_url
        self.namespace = f"{own_name()}:"
        self._reader = RedisCounters(server_url, self.namespace)

    async def open(self) -> None:
        """Keys need no place."""

    async def sink(self, server_url: str) -> RedisSink:
        return RedisSink(server_url, self.namespace)

    async def close_sink(self, sink: Sink) -> None:
        assert isinstance(sink, RedisSink)
        await sink.close()

    async def read(self, videos: Sequence[str]) -> Facts:
        keys = [f"{HOT_COUNTERS.name}:{counters_key(video)}" for video in videos]
        found = await self._reader.hashes(keys)
        return {
            video: {fact: int(counters.get(fact, 0)) for fact in self.facts}
            for video, counters in zip(videos, found, strict=True)
            if counters
        }

    async def close(self) -> None:
        redis = self._reader._redis
        async for key in redis.scan_iter(f"{self.namespace}*", count=1000):
            await redis.unlink(key)
        await self._reader.close()


class ClickHouseStore:
    name = "clickhouse"
    projections = (VIEWING,)
    facts = frozenset({"views", "likes"})

    def __init__(self, server_url: str) -> None:
        self.server_url = server_url
        self.namespace = f"{own_name()}_"
        self.reader = ClickHouseAnalytics(server_url, self.namespace)

    async def open(self) -> None:
        """The sink makes the database."""

    async def sink(self, server_url: str) -> ClickHouseSink:
        return ClickHouseSink(server_url, self.namespace, believed_s=0.0)

    async def close_sink(self, sink: Sink) -> None:
        assert isinstance(sink, ClickHouseSink)
        await sink.close()

    async def read(self, videos: Sequence[str]) -> Facts:
        rows = await self.reader.query(
            "SELECT toString(video_id) AS id, countIf(event_type = 'video_view') AS views, "
            "toInt64(countIf(event_type = 'like')) - countIf(event_type = 'unlike') AS likes "
            "FROM (SELECT video_id, event_type FROM views UNION ALL "
            "SELECT video_id, event_type FROM engagement) "
            "WHERE video_id IN {videos:Array(UUID)} GROUP BY id",
            {"videos": list(videos)},
        )
        return {row["id"]: {fact: row[fact] for fact in self.facts} for row in rows}

    async def close(self) -> None:
        await self.reader.close()
        server = ClickHouse(self.server_url)
        await server.command(f"DROP DATABASE IF EXISTS {database_name(self.namespace)}")
        await server.close()


class OpenSearchStore:
    name = "opensearch"
    projections = (VIDEO_INDEX,)
    facts = frozenset({"views", "likes", "title"})

    def __init__(self, server_url: str) -> None:
        self.server_url = server_url
        self.namespace = f"{own_name()}-"
        self.reader = OpenSearchIndex(server_url, self.namespace)

    async def open(self) -> None:
        """The sink makes the indexes."""

    async def sink(self, server_url: str) -> OpenSearchSink:
        return OpenSearchSink(server_url, self.namespace)

    async def close_sink(self, sink: Sink) -> None:
        assert isinstance(sink, OpenSearchSink)
        await sink.close()

    async def read(self, videos: Sequence[str]) -> Facts:
        body = {"size": 1000, "query": {"ids": {"values": list(videos)}}}
        answer = await self.reader.search("videos", body)
        return {hit["_id"]: self._facts(hit["_source"]) for hit in answer["hits"]["hits"]}

    def _facts(self, document: Mapping[str, Any]) -> dict[str, Any]:
        counted = {"views": 0, "likes": 0, "title": None}
        return {fact: document.get(fact, counted[fact]) for fact in self.facts}

    async def close(self) -> None:
        await self.reader.close()
        client = connect_opensearch(self.server_url)
        await client.indices.delete(index=f"{self.namespace}*")
        await client.close()


STORES = {
    store.name: store for store in (PostgresStore, RedisStore, ClickHouseStore, OpenSearchStore)
}
