"""What every process is made of: where things are, the database, the keys, the stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from infra.clickhouse.sink import ClickHouseSink
from infra.dead_letters.parking import PostgresParking
from infra.key_wrapping import KeyWrapper, LocalMasterKey
from infra.opensearch.sink import OpenSearchSink
from infra.places import Places, find_places
from infra.postgres.builds import PostgresBuilds
from infra.postgres.database import CONNECTIONS, Pool, migrate, open_pool
from infra.postgres.key_store import PostgresKeyRing
from infra.postgres.sink import PostgresSink, store_errors
from infra.redis.sink import RedisSink
from infra.s3.storage import S3Storage
from infra.settings import Settings
from projections.ports import Sink


@dataclass(frozen=True, slots=True)
class Core:
    """What every process has: where things are, the database, the keys, the stores."""

    settings: Settings
    places: Places
    pool: Pool
    keys: PostgresKeyRing
    wrapper: KeyWrapper
    storage: S3Storage
    sinks: Sequence[Sink]
    builds: PostgresBuilds
    parking: PostgresParking


@asynccontextmanager
async def open_core(settings: Settings, connections: int = CONNECTIONS) -> AsyncIterator[Core]:
    """Connect to the stores; everything is closed in reverse order at the end.

    To Postgres there are so many connections at most.

    Raises:
        ServerMissing: a server was neither configured nor started.
        StoreUnavailable: Postgres, which is asked at once, does not answer.
    """
    places = find_places(settings)
    async with AsyncExitStack() as stack:
        async with store_errors():
            pool = await open_pool(places.postgres, max_size=connections)
        stack.push_async_callback(pool.close)
        await migrate(pool)
        sinks: list[Sink] = [
            PostgresSink(pool),
            RedisSink(places.redis, settings.namespace),
            ClickHouseSink(places.clickhouse, settings.namespace),
            OpenSearchSink(places.opensearch, settings.namespace),
        ]
        for sink in sinks:
            stack.push_async_callback(sink.close)
        former = settings.master_key_old.get_secret_value()
        wrapper = LocalMasterKey(places.master_key, former)
        yield Core(
            settings=settings,
            places=places,
            pool=pool,
            keys=PostgresKeyRing(pool, wrapper),
            wrapper=wrapper,
            storage=S3Storage(places.s3, settings.s3_public_url),
            sinks=sinks,
            builds=PostgresBuilds(pool),
            parking=PostgresParking(pool, places.kafka),
        )
