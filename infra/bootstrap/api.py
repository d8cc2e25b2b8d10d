"""The composition of an API process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from commands.services import CommandServices, Limits
from events.errors import StreamHubError
from infra.bootstrap.core import Core, open_core
from infra.bootstrap.keys import lasting_key
from infra.bootstrap.models import model_files
from infra.clickhouse.reader import ClickHouseAnalytics
from infra.freshness import PositionWaiter
from infra.gathering import Gathering
from infra.http.health import Check
from infra.kafka.bus import KafkaCommandBus
from infra.kafka.ends import LogEnds
from infra.lag import LagMonitor
from infra.live_builds import LiveBuilds
from infra.media_links import HmacMediaLinks
from infra.opensearch.reader import OpenSearchIndex
from infra.passwords import BcryptPasswords
from infra.postgres.builds import PostgresBuilds
from infra.postgres.database import CONNECTIONS, open_pool
from infra.postgres.directory import PostgresDirectory
from infra.postgres.key_store import derive_key
from infra.postgres.rows import PostgresRows
from infra.postgres.sink import PostgresSink, store_errors
from infra.postgres.write_path import PostgresIdempotency
from infra.redis.limiter import RedisLimiter
from infra.redis.reader import RedisCounters, RedisRevocations
from infra.settings import Settings
from infra.single_flight import SingleFlight
from infra.text_judge import ModelTextJudge
from projections.declaration import Store
from projections.registry import PROJECTIONS
from query_api.reading import QueryServices
from query_api.videos import read_pages
from schemas.catalogue import REPLIES
from schemas.http.caller import Authenticator, TokenSigner

log = structlog.get_logger(__name__)

_LAG_INTERVAL_S = 5.0
#: Of Postgres, to see how far read models are: whoever looks for those who wait for that would
#: otherwise stand behind all who want something of Postgres, and tell them too late.
_WATCHING_CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the HTTP application keeps in its state."""

    core: Core
    commands: CommandServices
    queries: QueryServices
    authenticator: Authenticator
    limiter: RedisLimiter
    checks: Mapping[str, Check]


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[ApiParts]:
    """Connect everything that an API process needs."""
    connections = CONNECTIONS - _WATCHING_CONNECTIONS
    async with open_core(settings, connections) as core, AsyncExitStack() as stack:
        places = core.places
        ends = LogEnds(places.kafka)
        stack.push_async_callback(ends.close)
        bus = KafkaCommandBus(places.kafka, core.keys, settings.command_timeout_seconds)
        await bus.start()
        stack.push_async_callback(bus.stop)
        async with store_errors():
            watching = await open_pool(places.postgres, max_size=_WATCHING_CONNECTIONS)
        stack.push_async_callback(watching.close)
        live = LiveBuilds(PostgresBuilds(watching), PROJECTIONS)
        waiter = PositionWaiter(
            [PostgresSink(watching) if s.store is Store.POSTGRES else s for s in core.sinks],
            PROJECTIONS,
            live,
            ends,
            settings.consistency_timeout_seconds,
        )
        signer = TokenSigner(derive_key(places.jwt_secret, "tokens").hex())
        revocations = RedisRevocations(places.redis, settings.namespace)
        stack.push_async_callback(revocations.close)
        limiter = RedisLimiter(places.redis, settings.namespace)
        stack.push_async_callback(limiter.close)
        monitor = asyncio.create_task(_export_lag(LagMonitor(core.sinks, PROJECTIONS, live, ends)))
        stack.callback(monitor.cancel)
        queries = await _queries(core, waiter, stack)
        yield ApiParts(
            core=core,
            commands=CommandServices(
                bus=bus,
                keys=core.keys,
                idempotency=PostgresIdempotency(
                    core.pool, timedelta(seconds=settings.command_timeout_seconds + 5)
                ),
                directory=PostgresDirectory(core.pool, waiter.catch_up),
                passwords=BcryptPasswords(settings.bcrypt_cost),
                storage=core.storage,
                text_judge=ModelTextJudge(model_files(settings).text_classifier),
                waiter=waiter,
                signer=signer,
                limits=limits(settings),
                fingerprint_key=await lasting_key(core, "fingerprints"),
            ),
            queries=queries,
            authenticator=Authenticator(signer, revocations),
            limiter=limiter,
            checks=_checks(core, queries, limiter, ends),
        )


async def _queries(core: Core, waiter: PositionWaiter, stack: AsyncExitStack) -> QueryServices:
    settings, places = core.settings, core.places
    counters = RedisCounters(places.redis, settings.namespace)
    stack.push_async_callback(counters.close)
    analytics = ClickHouseAnalytics(places.clickhouse, settings.namespace)
    stack.push_async_callback(analytics.close)
    search = OpenSearchIndex(places.opensearch, settings.namespace)
    stack.push_async_callback(search.close)
    rows = PostgresRows(core.pool)
    return QueryServices(
        rows=rows,
        pages=Gathering(partial(read_pages, rows, core.storage)),
        together=SingleFlight(),
        counters=counters,
        analytics=analytics,
        search=search,
        media=core.storage,
        links=HmacMediaLinks(derive_key(places.jwt_secret, "media-links")),
        freshness=waiter,
        stream_url_life=timedelta(seconds=settings.stream_url_seconds),
        public_url=settings.public_url or f"http://{settings.host}:{settings.port}",
    )


def _checks(
    core: Core, queries: QueryServices, limiter: RedisLimiter, ends: LogEnds
) -> Mapping[str, Check]:
    return {
        "postgres": lambda: core.pool.fetchval("SELECT 1"),
        "redis": limiter.ping,
        "s3": core.storage.check,
        "kafka": lambda: ends.partitions([REPLIES]),
        "clickhouse": lambda: queries.analytics.query("SELECT 1", {}),
        "opensearch": queries.search.ping,
    }


async def _export_lag(monitor: LagMonitor) -> None:
    """Keep the gauges of lag up to date."""
    while True:
        try:
            await monitor.export()
        except StreamHubError as error:
            log.warning("lag_unknown", reason=error.message)
        await asyncio.sleep(_LAG_INTERVAL_S)


def limits(settings: Settings) -> Limits:
    """Return the figures that command endpoints hold to."""
    return Limits(
        access_token_life=timedelta(seconds=settings.access_token_seconds),
        session_life=timedelta(seconds=settings.session_seconds),
        upload_url_life=timedelta(seconds=settings.upload_url_seconds),
        max_upload_bytes=settings.max_upload_bytes,
        toxicity_threshold=settings.toxicity_threshold,
    )
