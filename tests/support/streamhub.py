"""The whole of StreamHub as users run it: real processes under the real supervisor.

Nothing is stubbed: the processes are those that ``streamhub up`` starts, with the settings that
tests need (cheap bcrypt, an image model whose verdicts follow from colours).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import asyncpg

from infra.everything import apply_all_topics
from infra.models import prepare_models
from infra.native.ports import PortBook
from infra.settings import Settings
from infra.supervisor.client import SupervisorClient, module_environment
from infra.supervisor.logs import tail
from infra.supervisor.spec import Check, ProcessSpec
from tests.support.waiting import eventually
from tests.unit.moderation.onnx_models import write_colour_classifier

HOST = "127.0.0.1"
API = "api"
COMMANDS = "commands"
PROJECTIONS = "projections"
PROCESSORS = "processors"
PROCESSES: Mapping[str, tuple[str, ...]] = {
    API: ("serve",),
    COMMANDS: ("worker", COMMANDS),
    PROJECTIONS: ("worker", PROJECTIONS),
    PROCESSORS: ("worker", PROCESSORS),
}
#: Addresses from here up are not exempt from rate limits: a test can come from one of them.
EXEMPT = "127.0.0.0/9"
DATABASE = "system"
COMMAND_TIMEOUT_S = 5.0
#: Longer than users wait, for tests run on busy machines.
CONSISTENCY_TIMEOUT_S = 20.0
_READY_TIMEOUT_S = 60.0
_SHOWN_CHARACTERS = 400
#: How long a process that is slowed down stands still at a time.
_HELD_S = 0.19


def limited_address() -> str:
    """Return an address of this machine that is not exempt, and has never called before."""
    numbers = (200 + secrets.randbelow(50), *(1 + secrets.randbelow(250) for _ in range(2)))
    return ".".join(["127", *map(str, numbers)])


class StreamHub:
    """StreamHub's processes on some servers; ``folder`` keeps their logs.

    ``settings`` are those of the processes, for code of the test that talks to the stores.
    """

    def __init__(self, urls: Mapping[str, str], folder: Path, cache_dir: Path) -> None:
        self._folder = folder
        self._supervisor = SupervisorClient(folder)
        port = PortBook(folder, "free", ()).take(API, "", 8000)
        self.url = f"http://{HOST}:{port}"
        model = folder / "colours.onnx"
        if not model.exists():
            write_colour_classifier(model)
        self._environment = {
            **module_environment(),
            **_server_settings(urls),
            "STREAMHUB_DATA_DIR": str(folder),
            "STREAMHUB_CACHE_DIR": str(cache_dir),
            "STREAMHUB_JWT_SECRET": "tests sign their tokens with this text",
            "STREAMHUB_MASTER_KEY": "tests wrap personal keys with this text",
            "STREAMHUB_NAMESPACE": f"{DATABASE}_",
            "STREAMHUB_PORT": str(port),
            "STREAMHUB_RATE_LIMIT_EXEMPT": EXEMPT,
            "STREAMHUB_BCRYPT_COST": "4",
            "STREAMHUB_COMMAND_TIMEOUT_SECONDS": str(COMMAND_TIMEOUT_S),
            "STREAMHUB_CONSISTENCY_TIMEOUT_SECONDS": str(CONSISTENCY_TIMEOUT_S),
            "STREAMHUB_TRANSCODE_PRESET": "ultrafast",
            "STREAMHUB_IMAGE_MODEL": str(model),
        }
        self.settings = _settings(self._environment)

    async def start(self) -> None:
        """Prepare database, topics and models, start every process, wait until all serve."""
        await _make_database(self.settings.postgres_url.get_secret_value())
        await apply_all_topics(self.settings)
        prepare_models(self.settings.cache_dir / "models")
        self._supervisor.ensure_running()
        self._supervisor.add("app", [self._spec(name) for name in PROCESSES])
        self._supervisor.wait_ready(list(PROCESSES), _READY_TIMEOUT_S, lambda _name: None)

    def _spec(self, name: str) -> ProcessSpec:
        ready = None
        if name == API:
            port = self.settings.port
            ready = Check("http", HOST, port, {"path": "/docs", "expect": ""})
        return ProcessSpec(
            name=name,
            argv=(sys.executable, "-m", "infra.cli", *PROCESSES[name]),
            log_file=self.log_file(name),
            env=self._environment,
            ready_check=ready,
            stop_timeout_s=30.0,
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """What the processes see beside the environment of the test run."""
        return self._environment

    def log_file(self, name: str) -> Path:
        """Return where a process writes its log."""
        return self._folder / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """Return the process id, or None while it does not run."""
        return next(s.pid for s in self._supervisor.status() if s.name == name)

    def logged(self, name: str, event: str) -> int:
        """Count how often a process wrote of something to its log."""
        return self.log_file(name).read_text(encoding="utf-8").count(f'"event": "{event}"')

    def kill(self, name: str) -> int:
        """End a process as a power cut does; the supervisor starts it again. Returns its id."""
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        return pid

    async def wait_ready(self, *names: str, but_not: int | None = None) -> None:
        """Wait until processes run and serve, with another id than that of the killed one."""

        async def look() -> bool:
            known = {s.name: s for s in self._supervisor.status()}
            return all(known[n].state == "ready" and known[n].pid != but_not for n in names)

        await eventually(f"{', '.join(names)} ready", look, _READY_TIMEOUT_S)

    def stop(self, *names: str) -> None:
        """End processes in the orderly way."""
        self._supervisor.stop(*names)

    def restart(self, *names: str) -> None:
        """End processes in the orderly way, and start them again (or those that do not run)."""
        self._supervisor.restart(*names)

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Let a process stand still, as one that is starved of CPU does."""
        pid = self.pid(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def slowed(self, name: str) -> AsyncIterator[None]:
        """Let a process run a twentieth of the time, a moment now and then, so that it is slow."""

        async def hold_back() -> None:
            while True:
                with self.paused(name):
                    await asyncio.sleep(_HELD_S)
                await asyncio.sleep(_HELD_S / 19)

        async with asyncio.TaskGroup() as tasks:
            holding = tasks.create_task(hold_back())
            try:
                yield
            finally:
                holding.cancel()

    def shutdown(self) -> None:
        """End everything."""
        self._supervisor.shutdown()

    def log_tails(self) -> str:
        """Return the end of every log, long lines cut, for the report of a failed test."""
        return "\n".join(
            f"--- {name}\n"
            + "\n".join(line[:_SHOWN_CHARACTERS] for line in tail(self.log_file(name)).splitlines())
            for name in PROCESSES
        )


def _server_settings(urls: Mapping[str, str]) -> dict[str, str]:
    server, _, _ = urls["postgres"].rpartition("/")
    return {
        "STREAMHUB_KAFKA_BOOTSTRAP": urls["kafka"],
        "STREAMHUB_POSTGRES_URL": f"{server}/{DATABASE}",
        "STREAMHUB_REDIS_URL": urls["redis"],
        "STREAMHUB_CLICKHOUSE_URL": urls["clickhouse"],
        "STREAMHUB_OPENSEARCH_URL": urls["opensearch"],
        "STREAMHUB_S3_URL": urls["s3"],
    }


def _settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that processes with this environment have, whatever ours is."""
    prefix = "STREAMHUB_"
    values: dict[str, object] = {
        name.removeprefix(prefix).lower(): value
        for name, value in environment.items()
        if name.startswith(prefix)
    }
    return Settings.model_validate(values)


async def _make_database(url: str) -> None:
    """Make a database of our own, so that other tests' tables are none of our business."""
    server, _, name = url.rpartition("/")
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
