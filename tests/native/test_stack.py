"""The native servers, for real: all up at once, and each back with its data after a kill -9."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from infra.native.catalogue import SERVERS
from infra.native.stack import NativeStack, ServerStatus
from infra.supervisor.client import ProcessStartError, SupervisorClient
from tests.native.probes import (
    DATA,
    NOT_YET,
    read_postgres,
    read_redis,
    write_postgres,
    write_redis,
)
from tests.native.running import CACHE, Running, quiet
from tests.native.waiting import eventually


def test_everything_serves_and_says_so(running: Running) -> None:
    assert running.urls.keys() == SERVERS.keys()
    for status in running.stack.status():
        assert status.state == "ready", status
        assert status.pid is not None
        assert psutil.pid_exists(status.pid)
        assert str(status.port) in status.url
        assert status.memory_bytes > 0
        assert status.uptime_s > 0
        assert status.log_file.exists()


def test_a_second_up_changes_nothing_and_is_quick(running: Running) -> None:
    before = {item.name: (item.pid, item.restarts) for item in running.stack.status()}
    started = time.monotonic()
    again = NativeStack(running.data_dir, CACHE, ports="free")
    assert again.up(SERVERS, quiet) == running.urls
    assert time.monotonic() - started < 5.0
    assert {item.name: (item.pid, item.restarts) for item in again.status()} == before


def test_idle_memory_stays_below_the_limit(running: Running) -> None:
    total = sum(item.memory_bytes for item in running.stack.status())
    assert total < 2200 * 1024 * 1024


def test_an_unknown_server_is_refused(running: Running) -> None:
    with pytest.raises(ValueError, match="oracle"):
        running.stack.up(["oracle"], quiet)


def test_killed_servers_come_back_with_their_data(running: Running) -> None:
    for write, _ in DATA.values():
        write(running)
    before = {item.name: item for item in running.stack.status()}
    for status in before.values():
        assert status.pid is not None
        os.kill(status.pid, signal.SIGKILL)
    for name, (_, read) in DATA.items():
        eventually(partial(is_back, running, before[name]), 90.0)
        eventually(partial(succeeds, read, running), 30.0)
        assert running.status(name).url == before[name].url


def is_back(running: Running, before: ServerStatus) -> bool:
    now = running.status(before.name)
    return now.state == "ready" and now.pid != before.pid


def succeeds(read: Callable[[Running], bool], running: Running) -> bool:
    try:
        return read(running)
    except NOT_YET:
        return False


def test_servers_outlive_a_killed_supervisor_and_are_adopted(running: Running) -> None:
    supervisor = SupervisorClient(running.data_dir)
    before = {item.name: item.pid for item in running.stack.status()}
    os.kill(supervisor.request("status")["pid"], signal.SIGKILL)
    eventually(lambda: not supervisor.is_running())
    assert {item.state for item in running.stack.status()} == {"unsupervised"}
    assert running.stack.up(SERVERS, quiet) == running.urls
    assert {item.name: item.pid for item in running.stack.status()} == before


def test_down_leaves_no_process_and_keeps_ports_and_data(tmp_path: Path) -> None:
    stack = NativeStack(tmp_path, CACHE, ports="free")
    urls = stack.up(["redis", "postgres"], quiet)
    running = Running(stack, tmp_path, urls)
    write_redis(running)
    write_postgres(running)
    stack.down()
    assert {item.state for item in stack.status()} == {"stopped"}
    assert processes_of(tmp_path) == []
    assert stack.up(["redis", "postgres"], quiet) == urls
    assert read_redis(running)
    assert read_postgres(running)
    stack.down()
    stack.down()


def test_down_stops_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    stack = NativeStack(tmp_path, CACHE, ports="free")
    stack.up(["redis"], quiet)
    os.kill(SupervisorClient(tmp_path).request("status")["pid"], signal.SIGKILL)
    eventually(lambda: not SupervisorClient(tmp_path).is_running())
    stack.down()
    assert processes_of(tmp_path) == []


def processes_of(data_dir: Path) -> list[str]:
    """Return the command lines that name the data folder."""
    lines = [" ".join(item.info["cmdline"] or []) for item in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(data_dir) in line]


def test_a_heap_too_small_is_shown_by_the_end_of_the_log(tmp_path: Path) -> None:
    stack = NativeStack(tmp_path, CACHE, heap_mb={"kafka": 1}, ports="free")
    try:
        with pytest.raises(ProcessStartError, match="heap") as failure:
            stack.up(["kafka"], quiet)
        assert failure.value.log_file == tmp_path / "kafka" / "server.log"
        assert "kafka" in {item.name for item in stack.status()}
    finally:
        stack.down()


def test_a_spoilt_setting_is_shown_by_the_end_of_the_log_and_can_be_mended(tmp_path: Path) -> None:
    stack = NativeStack(tmp_path, CACHE, ports="free")
    settings = tmp_path / "postgres" / "data" / "postgresql.auto.conf"
    try:
        stack.up(["postgres"], quiet)
        stack.down()
        settings.write_text("no setting")
        with pytest.raises(ProcessStartError, match="unrecognized configuration parameter"):
            stack.up(["postgres"], quiet)
        settings.write_text("")
        stack.up(["postgres"], quiet)
    finally:
        stack.down()


def test_opensearch_is_made_to_say_why_it_does_not_start(tmp_path: Path) -> None:
    stack = NativeStack(tmp_path, CACHE, ports="free")
    (tmp_path / "opensearch").mkdir()
    (tmp_path / "opensearch" / "data").touch()
    try:
        with pytest.raises(ProcessStartError, match="Not a directory"):
            stack.up(["opensearch"], quiet)
    finally:
        stack.down()
