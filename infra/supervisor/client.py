"""How the rest of StreamHub talks to the supervisor of a data folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import psutil

from events.errors import ErrorKind, StreamHubError
from infra.supervisor.logs import tail
from infra.supervisor.paths import SupervisorPaths
from infra.supervisor.process import SupervisedProcess
from infra.supervisor.spec import ProcessSpec

POLL_INTERVAL_S = 0.05
DAEMON_START_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 10.0
DAEMON = "infra.supervisor.daemon"
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class SupervisorUnavailable(StreamHubError):
    """The supervisor does not run, or does not answer."""

    kind = ErrorKind.UNAVAILABLE
    code = "SUPERVISOR_UNAVAILABLE"


class ProcessStartError(StreamHubError):
    """A process did not become ready. The message ends with the tail of its log."""

    kind: ClassVar[ErrorKind] = ErrorKind.UNAVAILABLE
    code = "PROCESS_START_FAILED"

    def __init__(self, name: str, reason: str, log_file: Path) -> None:
        self.name = name
        self.log_file = log_file
        self.log_tail = tail(log_file)
        super().__init__(f"{name} did not start: {reason}\n--- {log_file}\n{self.log_tail}")


@dataclass(frozen=True)
class ProcessStatus:
    """What the supervisor knows of one process; times are seconds since the epoch, 0 for never."""

    name: str
    group: str
    state: str
    pid: int | None
    started_at: float
    ready_at: float
    restarts: int
    last_exit: str
    detail: str
    spec: ProcessSpec

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> ProcessStatus:
        """Return the status that a record of the supervisor describes."""
        fields = {key: value for key, value in record.items() if key != "create_time"}
        fields["spec"] = ProcessSpec.from_json(record["spec"])
        return cls(**fields)


def module_environment() -> dict[str, str]:
    """Return the environment in which ``python -m infra…`` finds this package from any folder.

    Byte code is kept, even where the caller's environment says not to: compiling the libraries
    anew would be half of each start.
    """
    inherited = os.environ.get("PYTHONPATH", "")
    parts = [str(PACKAGE_ROOT), *(part for part in inherited.split(os.pathsep) if part)]
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(parts)), "PYTHONDONTWRITEBYTECODE": ""}


class SupervisorClient:
    """Requests to the supervisor of one data folder. Every call opens a connection of its own."""

    def __init__(self, data_dir: Path) -> None:
        self._paths = SupervisorPaths(data_dir)

    def is_running(self) -> bool:
        """Whether a supervisor answers."""
        try:
            self.request("status")
        except SupervisorUnavailable:
            return False
        return True

    def ensure_running(self) -> None:
        """Start the supervisor in the background unless one answers already.

        Raises ``SupervisorUnavailable`` when it does not answer in time.
        """
        if self.is_running():
            return
        self._paths.folder.mkdir(parents=True, exist_ok=True)
        self._start_daemon()
        deadline = time.monotonic() + DAEMON_START_TIMEOUT_S
        while not self.is_running():
            if time.monotonic() > deadline:
                raise SupervisorUnavailable(f"no supervisor came up\n{tail(self._paths.log)}")
            time.sleep(POLL_INTERVAL_S)

    def _start_daemon(self) -> None:
        """Run the daemon's starting process, which ends as soon as the daemon is detached."""
        with self._paths.log.open("ab") as log:
            subprocess.run(  # noqa: S603 - the command line is our own
                [sys.executable, "-m", DAEMON, "--data-dir", str(self._paths.data_dir.resolve())],
                env={**os.environ, **module_environment()},
                cwd=self._paths.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )

    def request(self, operation: str, **fields: Any) -> dict[str, Any]:
        """Ask and return the supervisor's status after it.

        Raises ``SupervisorUnavailable`` when none answers or the request is refused.
        """
        line = json.dumps({"operation": operation, **fields}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(ANSWER_TIMEOUT_S)
                connection.connect(str(self._paths.socket))
                connection.sendall(line)
                with connection.makefile("rb") as answers:
                    answer: dict[str, Any] = json.loads(answers.readline())
        except (OSError, ValueError) as error:
            raise SupervisorUnavailable(f"the supervisor does not answer: {error}") from error
        if "error" in answer:
            raise SupervisorUnavailable(answer["error"])
        return answer

    def status(self) -> list[ProcessStatus]:
        """Return the status of every process, in the order in which they were added."""
        return [ProcessStatus.from_record(item) for item in self.request("status")["processes"]]

    def left_behind(self) -> list[ProcessStatus]:
        """Return what a killed supervisor left running; only for when none answers."""
        try:
            records = json.loads(self._paths.state.read_text())["processes"]
        except (FileNotFoundError, ValueError):
            return []
        return [
            ProcessStatus.from_record({**record, "state": "unsupervised"})
            for record in records
            if SupervisedProcess.adopt(record, 0.0) is not None
        ]

    def add(self, group: str, specs: Sequence[ProcessSpec]) -> None:
        """Have these run. One that runs with the same spec stays; a changed one is restarted."""
        self.request("add", group=group, specs=[spec.to_json() for spec in specs])

    def stop(self, *names: str, timeout_s: float = 60.0) -> None:
        """Stop processes or whole groups and wait for their end; others go on."""
        self.request("stop", names=list(names))
        self._wait(lambda: not self._alive(names), timeout_s, f"{', '.join(names)} did not stop")

    def restart(self, *names: str) -> None:
        """Stop and start these processes or groups; ``wait_ready`` tells when they are back."""
        self.request("restart", names=list(names))

    def remove(self, *names: str) -> None:
        """Forget processes or groups that have stopped."""
        self.request("remove", names=list(names))

    def shutdown(self, timeout_s: float = 90.0) -> None:
        """Stop everything, what depends on others first, then the supervisor; wait for its end."""
        try:
            pid = self.request("shutdown")["pid"]
        except SupervisorUnavailable:
            return
        self._wait(lambda: not _is_alive(pid), timeout_s, "the supervisor did not stop")

    def wait_ready(
        self, names: Iterable[str], timeout_s: float, on_ready: Callable[[str], None]
    ) -> None:
        """Wait until all are ready, telling each one as it happens.

        Raises ``ProcessStartError`` for the first that fails or is not ready in time.
        """
        missing = set(names)
        deadline = time.monotonic() + timeout_s
        while missing:
            for process in self.status():
                if process.name in missing and self._is_ready(process):
                    missing.discard(process.name)
                    on_ready(process.name)
                elif process.name in missing and time.monotonic() > deadline:
                    raise _start_error(process, process.detail or f"not within {timeout_s:g} s")
            if missing:
                time.sleep(POLL_INTERVAL_S)

    def _is_ready(self, process: ProcessStatus) -> bool:
        if process.state in {"failed", "stopped", "exited"}:
            raise _start_error(process, process.detail or process.state)
        return process.state == "ready"

    def _alive(self, names: Sequence[str]) -> list[str]:
        at_rest = {"stopped", "exited", "failed"}
        return [
            process.name
            for process in self.status()
            if (process.name in names or process.group in names) and process.state not in at_rest
        ]

    def _wait(self, is_done: Callable[[], bool], timeout_s: float, complaint: str) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_done():
            if time.monotonic() > deadline:
                raise SupervisorUnavailable(complaint)
            time.sleep(POLL_INTERVAL_S)


def _start_error(process: ProcessStatus, reason: str) -> ProcessStartError:
    return ProcessStartError(process.name, reason, process.spec.log_file)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
