"""All native servers of one data folder: up, down, and how they are.

The servers outlive the process that starts them: a supervisor in the background runs them (see
``infra.supervisor``). Everything that they keep is below the data folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.native.catalogue import HEAP_MB, SERVERS
from infra.native.place import Place, PreparedServer
from infra.native.ports import PortBook, PortChoice, read_ports
from infra.supervisor.client import ProcessStartError, ProcessStatus, SupervisorClient

GROUP = "servers"
READY_TIMEOUT_S = 300.0

Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class ServerStatus:
    """How one server is. ``memory_bytes`` is its share of physical memory, children included."""

    name: str
    state: str
    pid: int | None
    port: int
    url: str
    memory_bytes: int
    uptime_s: float
    restarts: int
    log_file: Path
    detail: str


class NativeStack:
    """The servers of ``data_dir``; jars are kept in ``cache_dir``, which stacks may share.

    ``heap_mb`` overrides the Java heaps by server name. With ``ports="standard"`` a new data folder
    takes the servers' usual ports where they are free; ``"free"`` never does. Either way the ports
    stay the same afterwards as long as nobody else has taken them.
    """

    def __init__(
        self,
        data_dir: Path,
        cache_dir: Path,
        heap_mb: Mapping[str, int] | None = None,
        ports: PortChoice = "standard",
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._cache_dir = cache_dir.resolve()
        self._heap_mb = {**HEAP_MB, **(heap_mb or {})}
        self._ports = ports
        self._supervisor = SupervisorClient(self._data_dir)
        self._url_lock = threading.Lock()

    def up(self, servers: Collection[str], on_progress: Progress) -> dict[str, str]:
        """Start what does not run yet, all at once, and return each server's URL when it serves.

        ``on_progress(server, what)`` is called from one thread at a time. Raises
        ``ProcessStartError`` (with the tail of the log), ``PreparationError``, ``JarsUnavailable``
        or ``ValueError`` for an unknown name; servers that did start stay up.
        """
        unknown = set(servers) - SERVERS.keys()
        if unknown:
            raise ValueError(f"unknown servers: {', '.join(sorted(unknown))}")
        self._data_dir.mkdir(parents=True, exist_ok=True)
        report = _one_at_a_time(on_progress)
        with self._locked():
            self._supervisor.ensure_running()
            book = PortBook(self._data_dir, self._ports, self._alive())
            with ThreadPoolExecutor(len(SERVERS)) as pool:
                urls = pool.map(lambda name: self._start(name, book, report), servers)
                started = dict(zip(servers, urls, strict=True))
        return started

    def down(self) -> None:
        """Stop everything that the supervisor of this data folder runs, and the supervisor.

        Processes that a killed supervisor left behind are stopped as well.
        """
        if not self._data_dir.exists():
            return
        with self._locked():
            if not self._supervisor.is_running() and self._supervisor.left_behind():
                self._supervisor.ensure_running()
            self._supervisor.shutdown()

    def status(self) -> list[ServerStatus]:
        """Return how each server that was ever started here is."""
        urls, ports = self._urls(), read_ports(self._data_dir)
        if self._supervisor.is_running():
            running = {item.name: item for item in self._supervisor.status()}
        else:
            running = {item.name: item for item in self._supervisor.left_behind()}
        return [
            self._status_of(name, url, ports.get(name, 0), running.get(name))
            for name, url in urls.items()
        ]

    def _start(self, name: str, book: PortBook, report: Progress) -> str:
        prepared = self._prepare(name, book, report)
        self._remember_url(name, prepared.url)
        report(name, "starting")
        self._supervisor.add(GROUP, [prepared.spec])
        try:
            self._supervisor.wait_ready([name], READY_TIMEOUT_S, lambda _: report(name, "ready"))
        except ProcessStartError as error:
            if prepared.explain is None:
                raise
            raise ProcessStartError(name, prepared.explain(), error.log_file) from error
        return prepared.url

    def _prepare(self, name: str, book: PortBook, report: Progress) -> PreparedServer:
        place = Place(
            name=name,
            folder=self._data_dir / name,
            cache_dir=self._cache_dir,
            heap_mb=self._heap_mb.get(name, 0),
            ports=book,
            progress=lambda what: report(name, what),
        )
        place.folder.mkdir(exist_ok=True)
        return SERVERS[name](place)

    def _alive(self) -> list[str]:
        return [item.name for item in self._supervisor.status() if item.pid is not None]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one caller at a time change what runs in this data folder."""
        descriptor = os.open(self._data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _remember_url(self, name: str, url: str) -> None:
        path = self._data_dir / "urls.json"
        with self._url_lock:
            path.touch(mode=0o600)
            path.write_text(json.dumps({**self._urls(), name: url}, indent=2) + "\n")

    def _urls(self) -> dict[str, str]:
        try:
            urls: dict[str, str] = json.loads((self._data_dir / "urls.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return urls

    def _status_of(
        self, name: str, url: str, port: int, process: ProcessStatus | None
    ) -> ServerStatus:
        if process is None:
            log_file = self._data_dir / name / "server.log"
            return ServerStatus(name, "stopped", None, port, url, 0, 0.0, 0, log_file, "")
        alive = process.pid is not None
        return ServerStatus(
            name=name,
            state=process.state,
            pid=process.pid,
            port=port,
            url=url,
            memory_bytes=memory_bytes(process.pid) if process.pid is not None else 0,
            uptime_s=time.time() - process.started_at if alive else 0.0,
            restarts=process.restarts,
            log_file=process.spec.log_file,
            detail=process.detail or process.last_exit,
        )


def memory_bytes(pid: int) -> int:
    """Return the physical memory of a process and its children; shared pages are shared out."""
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += _proportional_bytes(process)
    return total


def _proportional_bytes(process: psutil.Process) -> int:
    # Only Linux tells the proportional share; elsewhere the resident size is the nearest figure.
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.rss))


def _one_at_a_time(on_progress: Progress) -> Progress:
    lock = threading.Lock()

    def report(server: str, what: str) -> None:
        with lock:
            on_progress(server, what)

    return report
