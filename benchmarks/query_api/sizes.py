"""What the site takes on disk and in memory, by what it grows with."""

from __future__ import annotations

from dataclasses import dataclass

from infra.bootstrap.core import Core
from infra.clickhouse.client import ClickHouse, database_name
from infra.opensearch.client import connect as connect_opensearch
from infra.redis.connection import connect as connect_redis

_RELATION = (
    "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
    "WHERE relkind = 'r' AND relname ~ ('^' || $1 || '__v[0-9]+')"
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes, indexes included: a row, a document, and in Redis whatever a video has."""

    postgres_video: float
    postgres_like: float
    postgres_comment: float
    clickhouse_fact: float
    opensearch_video: float
    redis_video: float


async def sizes(core: Core, videos: int) -> Sizes:
    """Return what things take, once the projections have applied the site."""
    return Sizes(
        postgres_video=await _row(core, "videos") + 3 * await _row(core, "video_streams"),
        postgres_like=await _row(core, "likes"),
        postgres_comment=await _row(core, "comments"),
        clickhouse_fact=await _fact(core),
        opensearch_video=await _document(core),
        redis_video=await _memory(core) / videos,
    )


async def _row(core: Core, table: str) -> float:
    whole = await core.pool.fetchval(_RELATION, table)
    rows = await core.pool.fetchval(f"SELECT count(*) FROM {table}")
    return float(whole) / int(rows)


async def _fact(core: Core) -> float:
    client = ClickHouse(core.places.clickhouse, database_name(core.settings.namespace))
    try:
        found = await client.query(
            "SELECT sum(bytes_on_disk) AS bytes, sum(rows) AS n FROM system.parts "
            "WHERE active AND database = currentDatabase()",
            {},
        )
    finally:
        await client.close()
    return float(found[0]["bytes"]) / int(found[0]["n"])


async def _document(core: Core) -> float:
    client = connect_opensearch(core.places.opensearch)
    try:
        stats = await client.indices.stats(index=f"{core.settings.namespace}videos")
    finally:
        await client.close()
    primaries = stats["_all"]["primaries"]
    return float(primaries["store"]["size_in_bytes"]) / int(primaries["docs"]["count"])


async def _memory(core: Core) -> float:
    """Return what all keys take by Redis' own account; the server's own memory is not in it."""
    client = connect_redis(core.places.redis)
    try:
        keys = [key async for key in client.scan_iter(f"{core.settings.namespace}*")]
        return float(sum([int(await client.memory_usage(key) or 0) for key in keys]))
    finally:
        await client.aclose()
