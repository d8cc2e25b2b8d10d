"""What the engine meets while it writes an insert is told, though it keeps that to itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.native.clickhouse.server_process import ServerProcess

VIOLATED_CONSTRAINT = 469
NOT_ENOUGH_SPACE = 243
#: More than any disk has.
_ALL_MIB = 1 << 40
_DISK_MIB = 64
_KEPT_MIB = 16
_SMALL_DISK = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def _small(client: Client) -> None:
    client.command("CREATE TABLE small (n UInt64, CONSTRAINT small CHECK n < 5) ENGINE = MergeTree")


def _insert(client: Client, *numbers: int) -> None:
    client.insert("small", [[n] for n in numbers], column_names=["n"])


def _numbers(client: Client) -> list[int]:
    return [row[0] for row in client.query("SELECT n FROM small ORDER BY n").result_rows]


def test_a_violated_constraint_is_told_of_its_own_insert(
    server: ServerProcess, database: str
) -> None:
    """A session's later inserts are on the same connection, and have done nothing."""
    with server.client(database=database, autogenerate_session_id=True) as client:
        _small(client)
        _insert(client, 1)
        for _ in range(2):
            with pytest.raises(DatabaseError) as refusal:
                _insert(client, 2, 7)
            assert refusal.value.code == VIOLATED_CONSTRAINT
            _insert(client, 3)
        assert _numbers(client) == [1, 3, 3]


def test_of_inserts_at_the_same_time_those_that_are_acknowledged_are_there(
    server: ServerProcess, database: str, client: Client
) -> None:
    """Of several failures of one kind only the last one's insert is known: others are in doubt."""
    _small(client)

    def write(number: int) -> set[int]:
        with server.client(database=database) as own:
            try:
                _insert(own, number % 6)
            except DatabaseError:
                return set()
        return {number % 6}

    with ThreadPoolExecutor(6) as threads:
        acknowledged = set().union(*threads.map(write, range(120)))
    assert acknowledged <= set(_numbers(client))


def test_without_room_nothing_is_acknowledged(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, options=("--keep-free-mib", str(_ALL_MIB)))
    try:
        with server.client() as client:
            _small(client)
            with pytest.raises(DatabaseError) as refusal:
                _insert(client, 1)
            assert refusal.value.code == NOT_ENOUGH_SPACE
            assert _numbers(client) == []
        server.terminate()
        server.options = ()
        server.restart()
        with server.client() as client:
            _insert(client, 2)
            assert _numbers(client) == [2]
    finally:
        server.kill()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server whose disk is really small: memory, which only the server sees."""
    mount = f"mount -t tmpfs -o size={_DISK_MIB}m tmpfs {tmp_path}"
    if subprocess.run([*_SMALL_DISK, mount], capture_output=True, check=False).returncode:
        pytest.skip("nobody may mount a disk here")
    inside = (*_SMALL_DISK, f'{mount} && exec "$@"', "sh")
    server = ServerProcess(
        tmp_path / "data", options=("--keep-free-mib", str(_KEPT_MIB)), inside=inside
    )
    yield server
    server.kill()


def test_a_disk_that_is_full_loses_nothing_and_goes_on_with_room(small_disk: ServerProcess) -> None:
    with small_disk.client() as client:
        for table in ("ballast", "rows_kept"):
            client.command(f"CREATE TABLE {table} (data String) ENGINE = MergeTree ORDER BY ()")

        refusals: list[int | None] = []

        def fill(table: str, pieces: int) -> int:
            for piece in range(pieces):
                try:
                    client.insert(table, [[os.urandom(1 << 19)]], column_names=["data"])
                except DatabaseError as refusal:
                    refusals.append(refusal.code)
                    return piece
            return pieces

        def kept() -> object:
            return client.query("SELECT count(), sum(length(data)) FROM rows_kept").result_rows[0]

        assert fill("ballast", 20) == 20
        written = fill("rows_kept", 200)
        assert 1 < written < 200
        assert kept() == (written, written << 19)
        client.command("DROP TABLE ballast SYNC")
        assert fill("rows_kept", 4) == 4
        assert kept() == (written + 4, written + 4 << 19)
    assert refusals == [NOT_ENOUGH_SPACE]
