"""StreamHub's own processes under the native supervisor: the API and the workers."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.settings import Settings
from infra.supervisor.client import SupervisorClient, module_environment
from infra.supervisor.spec import Check, ProcessSpec

GROUP = "app"
READY_TIMEOUT_S = 240.0
_DEFAULT_PORT = 8000


@dataclass(frozen=True, slots=True)
class AppProcess:
    """A process by its name and what follows ``streamhub`` on its command line."""

    name: str
    arguments: tuple[str, ...]
    niceness: int = 0


#: Four processes suit two cores: one that answers, one that decides, one that projects, one that
#: transcodes and moderates. Where cores are short the last one gets what is left: nobody waits for
#: it by the millisecond.
PROCESSES = (
    AppProcess("commands", ("worker", "commands")),
    AppProcess("projections", ("worker", "projections")),
    AppProcess("processors", ("worker", "processors"), niceness=10),
)


def api_port(settings: Settings) -> int:
    """Return the port that the API takes: the chosen one, or a free one where it is taken."""
    kept = settings.data_dir / "api.port"
    if kept.exists():
        return int(kept.read_text())
    port = settings.port
    if settings.is_native and port == _DEFAULT_PORT and not _is_free(settings.host, port):
        with socket.socket() as probe:
            probe.bind((settings.host, 0))
            port = probe.getsockname()[1]
    kept.write_text(str(port))
    return port


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def start_app(settings: Settings, on_ready: Callable[[str], None]) -> str:
    """Start what does not run yet; return the API's URL when it answers."""
    supervisor = SupervisorClient(settings.data_dir)
    supervisor.ensure_running()
    port = api_port(settings)
    specs = [_api(settings, port), *(_worker(settings, process) for process in PROCESSES)]
    supervisor.add(GROUP, specs)
    supervisor.wait_ready([spec.name for spec in specs], READY_TIMEOUT_S, on_ready)
    return f"http://{settings.host}:{port}"


def stop_app(settings: Settings) -> None:
    """Stop StreamHub's own processes and leave the servers alone."""
    supervisor = SupervisorClient(settings.data_dir)
    if supervisor.is_running() and any(s.group == GROUP for s in supervisor.status()):
        supervisor.stop(GROUP)
        supervisor.remove(GROUP)


def _environment(settings: Settings) -> dict[str, str]:
    return {**module_environment(), "STREAMHUB_DATA_DIR": str(settings.data_dir)}


def _log_file(settings: Settings, name: str) -> Path:
    folder = settings.data_dir / "app"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"


def _api(settings: Settings, port: int) -> ProcessSpec:
    return ProcessSpec(
        name="api",
        argv=(sys.executable, "-m", "infra.cli", "serve"),
        log_file=_log_file(settings, "api"),
        env={**_environment(settings), "STREAMHUB_PORT": str(port)},
        ready_check=Check("http", settings.host, port, {"path": "/docs", "expect": ""}),
        start_timeout_s=READY_TIMEOUT_S,
        stop_timeout_s=20.0,
    )


def _worker(settings: Settings, process: AppProcess) -> ProcessSpec:
    return ProcessSpec(
        name=process.name,
        argv=(sys.executable, "-m", "infra.cli", *process.arguments),
        log_file=_log_file(settings, process.name),
        env=_environment(settings),
        stop_timeout_s=30.0,
        niceness=process.niceness,
    )
