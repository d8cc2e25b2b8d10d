"""Ending native servers the hard way; their supervisor starts them again."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from infra.native.stack import NativeStack, ServerStatus
from infra.supervisor.client import SupervisorClient
from tests.conftest import Servers
from tests.support.waiting import eventually

_BACK_TIMEOUT_S = 90.0


class ServerControl:
    """The servers of a test run, by name."""

    def __init__(self, servers: Servers) -> None:
        self._stack: NativeStack = servers._stack
        self._supervisor = SupervisorClient(self._stack._data_dir)

    def status(self, name: str) -> ServerStatus:
        """Return how a server is."""
        return next(status for status in self._stack.status() if status.name == name)

    def folder(self, name: str) -> Path:
        """Return where a server keeps what is its own."""
        return self._stack._data_dir / name

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Let a server be away for a while, shut down in the orderly way."""
        self._supervisor.stop(name)
        try:
            yield
        finally:
            self._supervisor.restart(name)
            self._supervisor.wait_ready([name], _BACK_TIMEOUT_S, lambda _name: None)

    async def kill(self, name: str) -> None:
        """Kill a server and wait until it serves again."""
        pid = self.status(name).pid
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)

        async def look() -> bool:
            now = self.status(name)
            return now.state == "ready" and now.pid != pid

        await eventually(f"{name} back", look, _BACK_TIMEOUT_S)
