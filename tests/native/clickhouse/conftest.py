from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest
from clickhouse_connect.driver.client import Client

from tests.native.clickhouse.server_process import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("clickhouse"))
    yield process
    assert process.terminate() == 0


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that a test may kill, if it starts it again."""
    process = ServerProcess(tmp_path_factory.mktemp("clickhouse_own"))
    yield process
    process.kill()


@pytest.fixture
def http(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def database(server: ServerProcess) -> Iterator[str]:
    """A database of the test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with server.client() as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE {name}")


@pytest.fixture
def client(server: ServerProcess, database: str) -> Iterator[Client]:
    with server.client(database=database) as connected:
        yield connected
