"""``streamhub`` as an operator calls it, on the StreamHub of the tests."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.streamhub import StreamHub


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    complaint: str

    @property
    def data(self) -> Any:
        """What it printed for scripts."""
        return json.loads(self.output)


@asynccontextmanager
async def called(hub: StreamHub, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Call a command, and kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infra.cli", *arguments),
        env={**os.environ, **hub.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def operate(hub: StreamHub, *arguments: str, timeout_s: float = 120.0) -> Ended:
    """Call a command and wait until it has ended."""
    async with called(hub, *arguments) as process, asyncio.timeout(timeout_s):
        output, complaint = await process.communicate()
    return Ended(process.returncode or 0, output.decode(), complaint.decode())
