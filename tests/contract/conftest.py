from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from projections.ports import Sink
from tests.conftest import Servers
from tests.contract.link import Link
from tests.contract.stores import STORES, PostgresStore, Store

OpenSink = Callable[[], Awaitable[Sink]]


@pytest_asyncio.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[Store]:
    """A place of the test's own in each of the stores."""
    servers.need(*STORES)
    opened: Store = STORES[request.param](servers[request.param])
    await opened.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def postgres(servers: Servers) -> AsyncIterator[PostgresStore]:
    """A place in PostgreSQL that nobody else has."""
    opened = PostgresStore(servers["postgres"])
    await opened.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def link(store: Store) -> AsyncIterator[Link]:
    """The wire to the store's server."""
    wire = Link(store.server_url)
    await wire.open()
    yield wire
    await wire.cut()


@pytest_asyncio.fixture
async def open_sink(store: Store, link: Link) -> AsyncIterator[OpenSink]:
    """Opens sinks by way of the link, and closes them behind the test."""
    opened: list[Sink] = []

    async def open_one() -> Sink:
        sink = await store.sink(link.url)
        opened.append(sink)
        return sink

    yield open_one
    for sink in opened:
        await store.close_sink(sink)


@pytest_asyncio.fixture
async def sink(store: Store, open_sink: OpenSink) -> Sink:
    """A sink that is prepared."""
    ready = await open_sink()
    await ready.prepare(store.projections)
    return ready
