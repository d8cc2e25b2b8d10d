"""Processes that serve while they are measured: StreamHub's API and its bare opponent."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.http_client import Answer, connections, request
from benchmarks.processes import MeasurementFailed
from benchmarks.report import ROOT

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 30.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers, and its process."""

    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used so far, its children's included."""
        times = self.process.cpu_times()
        return times.user + times.system


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@asynccontextmanager
async def running(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log_file: Path,
    python: Path | str = sys.executable,
) -> AsyncIterator[psutil.Process]:
    """Run a module beside this process, and end it.

    ``python`` is the interpreter of another environment where the module needs one.
    """
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(python), "-m", module, *arguments),
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def serving(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    port: int,
    path: str,
    log_file: Path,
    python: Path | str = sys.executable,
) -> AsyncIterator[Served]:
    """Run a server, wait until it answers a path with 200, and end it.

    Raises:
        MeasurementFailed: it ends, or does not answer in time.
    """
    async with running(module, arguments, environment, log_file, python) as process:
        served = Served(f"http://127.0.0.1:{port}", process)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S), connections(served.url, 1) as server:
                while not await _answers(server.send(request("GET", path))):
                    if process.status() == psutil.STATUS_ZOMBIE:
                        raise TimeoutError
                    await asyncio.sleep(_POLL_S)
        except (TimeoutError, psutil.NoSuchProcess):
            words = log_file.read_text(encoding="utf-8", errors="replace")[-4_000:]
            raise MeasurementFailed(f"{module} does not answer {path}:\n{words}") from None
        yield served


async def _answers(asking: Awaitable[Answer]) -> bool:
    try:
        return (await asking).status == 200
    except OSError:
        return False
