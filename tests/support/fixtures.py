"""Fixtures that integration, end-to-end and fault tests share: one StreamHub a run.

With ``STREAMHUB_TEST_DATA_DIR`` set, its processes are left running beside the servers there; end
them with ``STREAMHUB_DATA_DIR=<that folder>/streamhub streamhub down`` to test changed code.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from commands.users import ChangeRole
from events.users import Role
from infra.native.catalogue import SERVERS
from tests.conftest import Servers
from tests.support.api import Api, Person, sign_up
from tests.support.positions import settled
from tests.support.streamhub import StreamHub
from tests.support.videos import Backstage, open_backstage
from tests.support.waiting import eventually

_LOGS_OF = pytest.StashKey[StreamHub]()


@pytest_asyncio.fixture(scope="session")
async def streamhub(
    request: pytest.FixtureRequest,
    servers: Servers,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[StreamHub]:
    """All of StreamHub's processes, started once."""
    urls = dict(zip(SERVERS, servers.need(*SERVERS), strict=True))
    cache = Path(os.environ.get("STREAMHUB_CACHE_DIR", "~/.cache/streamhub")).expanduser()
    kept = os.environ.get("STREAMHUB_TEST_DATA_DIR")
    folder = Path(kept) / "streamhub" if kept else tmp_path_factory.mktemp("streamhub")
    folder.mkdir(parents=True, exist_ok=True)
    hub = StreamHub(urls, folder, cache)
    request.session.stash[_LOGS_OF] = hub
    try:
        await hub.start()
        await _warm_up(hub)
        yield hub
    finally:
        if not kept:
            hub.shutdown()


async def _warm_up(hub: StreamHub) -> None:
    """Wait until commands are decided and every reader follows the log."""
    async with Api(hub.url) as api:
        await eventually("a first sign-up", lambda: sign_up(api), 60.0)
    async with open_backstage(hub.settings) as backstage:
        await settled(backstage.core)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of each process's log with a test that failed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    hub = item.session.stash.get(_LOGS_OF, None)
    if report.failed and hub is not None and "streamhub" in getattr(item, "fixturenames", ()):
        report.sections.append(("StreamHub's logs", hub.log_tails()))


@pytest_asyncio.fixture(scope="session")
async def backstage(streamhub: StreamHub) -> AsyncIterator[Backstage]:
    """The log and the stores from inside."""
    async with open_backstage(streamhub.settings) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session")
async def api(streamhub: StreamHub) -> AsyncIterator[Api]:
    """A client of the API without an account."""
    async with Api(streamhub.url) as opened:
        yield opened


@pytest_asyncio.fixture
async def person(api: Api) -> Person:
    """Somebody who just signed up."""
    return await sign_up(api)


@pytest_asyncio.fixture
async def other(api: Api) -> Person:
    """Somebody else."""
    return await sign_up(api, "other")


@pytest_asyncio.fixture
async def video(backstage: Backstage, person: Person) -> str:
    """The id of a public video of the person's that is ready."""
    return await backstage.ready_video(person)


@pytest_asyncio.fixture(scope="session")
async def bystander(api: Api) -> Person:
    """Somebody with an account whom no test changes."""
    return await sign_up(api, "bystander")


@pytest_asyncio.fixture(scope="session")
async def public_video(backstage: Backstage, bystander: Person) -> str:
    """The id of a public video of the bystander's."""
    return await backstage.ready_video(bystander, title="A public film")


@pytest_asyncio.fixture(scope="session")
async def admin(api: Api, backstage: Backstage) -> Person:
    """An admin."""
    person = await sign_up(api, "admin")
    await backstage.decide(ChangeRole(user_id=person.id, role=Role.ADMIN), person)
    shown = await person.get(f"/users/{person.id}")
    assert shown.data["role"] == "admin"
    return await person.sign_in()
