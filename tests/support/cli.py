"""``streamhub`` as operators run it: a process of its own, with the settings of the test's."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from tests.support.streamhub import StreamHub


@dataclass(frozen=True, slots=True)
class Done:
    """How a command of ``streamhub`` ended."""

    code: int
    output: str
    errors: str

    @property
    def data(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.output)


async def cli(hub: StreamHub, *words: str) -> Done:
    """Run a command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "infra.cli",
        *words,
        env={**os.environ, **hub.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return Done(process.returncode or 0, output.decode(), errors.decode())
