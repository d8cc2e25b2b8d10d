"""The ClickHouse server as a real process on a free port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import clickhouse_connect
import httpx
from clickhouse_connect.driver.client import Client

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 20.0
_POLL_S = 0.05


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class ServerProcess:
    """One server on a data directory; it can be stopped, killed and started again."""

    def __init__(
        self,
        data_directory: Path,
        password: str = "",
        *,
        options: Sequence[str] = (),
        inside: Sequence[str] = (),
    ) -> None:
        """``inside`` is a command that runs the server's."""
        self.data_directory = data_directory
        self.password = password
        self.options = options
        self._inside = inside
        self.port = free_port()
        self.process = self._spawn()
        self._wait_until_up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def client(self, **options: object) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1",
            port=self.port,
            password=self.password,
            **{"autogenerate_session_id": False, **options},  # type: ignore[arg-type]
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(STOP_DEADLINE_S)

    def terminate(self) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_DEADLINE_S)

    def restart(self) -> None:
        self.process = self._spawn()
        self._wait_until_up()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(),
            env={**os.environ, "CLICKHOUSE_PASSWORD": self.password},
            stdout=subprocess.DEVNULL,
        )

    def command(self) -> list[str]:
        module = ["-m", "infra.native.clickhouse_server"]
        where = ["--data-dir", str(self.data_directory), "--port", str(self.port)]
        return [*self._inside, sys.executable, *module, *where, *self.options]

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}")
            try:
                if httpx.get(f"{self.url}/ping").text == "Ok.\n":
                    return
            except httpx.TransportError:
                time.sleep(_POLL_S)
        self.kill()
        raise AssertionError("the server did not come up")
