"""Ending native servers the hard way; their supervisor starts them again."""

from __future__ import annotations

import os
import signal

from infra.native.stack import NativeStack, ServerStatus
from tests.conftest import Servers
from tests.support.waiting import eventually

_BACK_TIMEOUT_S = 90.0


class ServerControl:
    """The servers of a test run, by name."""

    def __init__(self, servers: Servers) -> None:
        self._stack: NativeStack = servers._stack

    def status(self, name: str) -> ServerStatus:
        """Return how a server is."""
        return next(status for status in self._stack.status() if status.name == name)

    async def kill(self, name: str) -> None:
        """Kill a server and wait until it serves again."""
        pid = self.status(name).pid
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)

        async def look() -> bool:
            now = self.status(name)
            return now.state == "ready" and now.pid != pid

        await eventually(f"{name} back", look, _BACK_TIMEOUT_S)
