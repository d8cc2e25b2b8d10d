"""The process: what survives its death, how it stops and what it refuses."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import httpx
import psutil
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from tests.native.clickhouse.server_process import START_DEADLINE_S, ServerProcess

IDLE_BYTES_MAX = 320 << 20


def test_an_acknowledged_row_survives_kill(own_server: ServerProcess) -> None:
    with own_server.client() as client:
        client.command("CREATE DATABASE kept")
        client.command("CREATE TABLE kept.rows (n UInt64) ENGINE = MergeTree ORDER BY n")
    acknowledged: list[int] = []
    enough = threading.Event()

    def write() -> None:
        with own_server.client() as client:
            for n in range(100_000):
                try:
                    client.insert("kept.rows", [[n]], column_names=["n"])
                except (ClickHouseError, OSError):
                    return
                acknowledged.append(n)
                if n == 100:
                    enough.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert enough.wait(60)
    own_server.kill()
    writer.join()
    own_server.restart()
    with own_server.client() as client:
        found = {row[0] for row in client.query("SELECT n FROM kept.rows").result_rows}
    assert set(acknowledged) <= found
    assert len(found) <= len(acknowledged) + 1


def test_a_token_is_remembered_across_kill(own_server: ServerProcess) -> None:
    create = (
        "CREATE TABLE rows_once (n UInt64) ENGINE = MergeTree ORDER BY n"
        " SETTINGS non_replicated_deduplication_window = 10"
    )
    settings = {"insert_deduplication_token": "once"}
    with own_server.client() as client:
        client.command(create)
        client.insert("rows_once", [[1]], column_names=["n"], settings=settings)
    own_server.kill()
    own_server.restart()
    with own_server.client() as client:
        client.insert("rows_once", [[2]], column_names=["n"], settings=settings)
        assert client.query("SELECT n FROM rows_once").result_rows == [(1,)]


def test_an_insert_broken_off_by_its_client_writes_nothing(own_server: ServerProcess) -> None:
    with own_server.client() as client:
        client.command("CREATE TABLE rows_broken (n UInt64) ENGINE = MergeTree ORDER BY n")

        def half() -> object:
            yield b"INSERT INTO rows_broken FORMAT TSV\n1\n2\n"
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            httpx.post(own_server.url, content=half())  # type: ignore[arg-type]
        client.insert("rows_broken", [[3]], column_names=["n"])
        assert client.query("SELECT n FROM rows_broken").result_rows == [(3,)]


def test_it_stops_cleanly_and_starts_again(own_server: ServerProcess) -> None:
    with own_server.client() as client:
        client.command("CREATE TABLE rows_stopped (n UInt64) ENGINE = MergeTree ORDER BY n")
        client.insert("rows_stopped", [[1]], column_names=["n"])
    assert own_server.terminate() == 0
    own_server.restart()
    with own_server.client() as client:
        assert client.query("SELECT n FROM rows_stopped").result_rows == [(1,)]


def test_a_second_server_on_the_same_directory_is_refused(own_server: ServerProcess) -> None:
    second = subprocess.run(
        own_server.command(), capture_output=True, text=True, timeout=START_DEADLINE_S, check=False
    )
    assert second.returncode == 1
    assert "CLICKHOUSE_DATA_DIRECTORY_IN_USE" in second.stdout
    assert httpx.get(f"{own_server.url}/ping").text == "Ok.\n"


def test_a_password_is_asked_for(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data with a space", password="söcret")
    try:
        with server.client() as client:
            assert client.command("SELECT 1") == 1
        assert httpx.post(server.url, content="SELECT 1").status_code == 403
        assert httpx.get(f"{server.url}/ping").status_code == 200
    finally:
        server.kill()


def test_an_idle_server_is_small(own_server: ServerProcess) -> None:
    with own_server.client() as client:
        client.command("SELECT 1")
    # Pages of its library, which it shares with the file, come and go as the machine pleases.
    own = psutil.Process(own_server.pid).memory_full_info().uss
    assert own < IDLE_BYTES_MAX
