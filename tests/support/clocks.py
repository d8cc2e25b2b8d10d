"""Processes of StreamHub whose wall clocks a test lets jump, each for itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from tests.support import jumping_clock
from tests.support.jumping_clock.sitecustomize import OFFSET
from tests.support.streamhub import PROCESSES, StreamHub


class Clocks:
    """The clocks of all processes, right at first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in PROCESSES:
            self.path(name).write_bytes(OFFSET.pack(0.0))

    def path(self, name: str) -> Path:
        """Return the file that says by how much the clock of a process is wrong."""
        return self._folder / f"{name}.clock"

    def jump(self, name: str, wrong_by_s: float) -> None:
        """Set a clock that runs, by so many seconds from the right time."""
        with self.path(name).open("r+b") as file:
            file.write(OFFSET.pack(wrong_by_s))


@contextlib.asynccontextmanager
async def jumping(hub: StreamHub, folder: Path) -> AsyncIterator[Clocks]:
    """Start all processes anew with clocks that can jump, and at the end with none."""
    clocks = Clocks(folder)
    await _start(hub, clocks)
    try:
        yield clocks
    finally:
        await _start(hub, None)


async def _start(hub: StreamHub, clocks: Clocks | None) -> None:
    before = {name: hub.pid(name) for name in PROCESSES}
    specs = [hub._spec(name) for name in PROCESSES]
    if clocks is not None:
        module = str(jumping_clock.__path__[0])
        path = f"{module}:{hub.environment['PYTHONPATH']}"
        specs = [
            replace(
                spec,
                env={
                    **spec.env,
                    "PYTHONPATH": path,
                    "JUMPING_CLOCK": str(clocks.path(spec.name)),
                },
            )
            for spec in specs
        ]
    hub._supervisor.add("app", specs)
    for name, pid in before.items():
        await hub.wait_ready(name, but_not=pid)
