"""The supervisor: ``python -m infra.supervisor.daemon --data-dir D``.

A process of the standard library and psutil alone, so that it idles in little memory; for the same
reason it logs by ``logging``. One thread owns all state. It sleeps until a signal, a request, a
ready check or a deadline wakes it. A request is one line of JSON on a Unix socket, answered by one
line. What runs is written to ``state.json`` at each change: a supervisor that comes after a killed
one adopts the processes that are still there, so that nothing ever runs twice.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import logging
import os
import queue
import selectors
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from infra.supervisor.checks import run_check
from infra.supervisor.logs import cap_log
from infra.supervisor.paths import SupervisorPaths
from infra.supervisor.process import AT_REST, SERVING, State, SupervisedProcess
from infra.supervisor.spec import Check, ProcessSpec

logger = logging.getLogger("supervisor")

CHECK_INTERVAL_S = 0.1
# How often it is asked in the time after which it would count as dead.
ALIVE_CHECKS = 6
ADOPTED_POLL_S = 0.5
LOG_CAP_INTERVAL_S = 30.0
REQUEST_TIMEOUT_S = 2.0
REQUEST_BYTES_MAX = 1024 * 1024


class Supervisor:
    """Runs the declared processes of one data folder."""

    def __init__(self, paths: SupervisorPaths) -> None:
        self._paths = paths
        self._processes: dict[str, SupervisedProcess] = {}
        self._ready: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._dead: queue.SimpleQueue[tuple[str, int, str]] = queue.SimpleQueue()
        self._checked: dict[str, int] = {}
        self._leaving = False
        self._logs_capped_at = -LOG_CAP_INTERVAL_S
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)

    def run(self) -> None:
        """Serve until a shutdown was asked for and everything has stopped."""
        self._adopt()
        listener = self._listen()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._selector.register(listener, selectors.EVENT_READ)
        self._install_signals()
        while not (self._leaving and self._all_at_rest()):
            for key, _ in self._selector.select(self._sleep_s()):
                if key.fileobj is listener:
                    self._serve(listener)
                else:
                    self._drain_wakes()
            self._tick()
        self._save()
        listener.close()
        self._paths.socket.unlink(missing_ok=True)

    def _install_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._leave())

    def _leave(self) -> None:
        self._leaving = True

    def _listen(self) -> socket.socket:
        self._paths.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._paths.socket))
        self._paths.socket.chmod(0o600)
        listener.listen(16)
        return listener

    def _adopt(self) -> None:
        """Take over what a killed supervisor left running."""
        try:
            records = json.loads(self._paths.state.read_text())["processes"]
        except (FileNotFoundError, ValueError, KeyError):
            return
        for record in records:
            process = SupervisedProcess.adopt(record, time.monotonic())
            if process is not None:
                logger.info("adopted %s (pid %s)", record["name"], record["pid"])
                self._processes[record["name"]] = process

    def _all_at_rest(self) -> bool:
        return all(process.state in AT_REST for process in self._processes.values())

    def _sleep_s(self) -> float:
        now = time.monotonic()
        limits = [LOG_CAP_INTERVAL_S]
        for process in self._processes.values():
            seconds = process.seconds_to_next_change(now)
            if seconds is not None:
                limits.append(seconds)
            if process.is_adopted:
                limits.append(ADOPTED_POLL_S)
        return min(limits)

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_reader.recv(4096):
                pass

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_writer.send(b"\0")

    def _tick(self) -> None:
        now = time.monotonic()
        self._take_ready(now)
        self._take_dead(now)
        # One change can be what another process waits for, so go round until all is quiet.
        while self._advance_all(now):
            self._save()
        if now - self._logs_capped_at >= LOG_CAP_INTERVAL_S:
            self._logs_capped_at = now
            for log_file in self._log_files():
                cap_log(log_file)

    def _log_files(self) -> list[Path]:
        return [self._paths.log, *(process.spec.log_file for process in self._processes.values())]

    def _advance_all(self, now: float) -> bool:
        changed = False
        if self._leaving:
            self._stop_next(now)
        for name, process in self._processes.items():
            before = process.state
            if process.advance(now, may_start=self._may_start(process)):
                changed = True
                logger.info("%s: %s -> %s %s", name, before, process.state, process.detail)
            self._watch(name, process)
        return changed

    def _may_start(self, process: SupervisedProcess) -> bool:
        return not self._leaving and all(
            name in self._processes and self._processes[name].state is State.READY
            for name in process.spec.depends_on
        )

    def _watch(self, name: str, process: SupervisedProcess) -> None:
        """Ask a process from a thread, one for each start, whether it serves."""
        if process.state not in SERVING or self._checked.get(name) == process.generation:
            return
        self._checked[name] = process.generation
        threading.Thread(target=self._ask, args=(process, process.generation), daemon=True).start()

    def _ask(self, process: SupervisedProcess, generation: int) -> None:
        self._ask_until_ready(process, generation)
        if process.spec.alive_check is not None:
            self._ask_until_dead(process, process.spec.alive_check, generation)

    def _ask_until_ready(self, process: SupervisedProcess, generation: int) -> None:
        check = process.spec.ready_check
        while process.state is State.STARTING and process.generation == generation:
            try:
                if check is not None:
                    run_check(check)
            except OSError as error:
                process.detail = f"not ready yet: {error}"
                time.sleep(CHECK_INTERVAL_S)
            else:
                self._ready.put((process.spec.name, generation))
                self._wake()
                return

    def _ask_until_dead(self, process: SupervisedProcess, check: Check, generation: int) -> None:
        failed_at: float | None = None
        while process.state in SERVING and process.generation == generation:
            time.sleep(process.spec.alive_timeout_s / ALIVE_CHECKS)
            now = time.monotonic()
            try:
                run_check(check)
            except TimeoutError:
                # On a busy machine that is no sign of anything.
                failed_at = None
            except OSError as error:
                failed_at = failed_at or now
                if now - failed_at >= process.spec.alive_timeout_s:
                    self._dead.put((process.spec.name, generation, str(error)))
                    self._wake()
                    return
            else:
                failed_at = None

    def _take_ready(self, now: float) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                name, generation = self._ready.get_nowait()
                if name in self._processes:
                    self._processes[name].mark_ready(generation, now)
                    logger.info("%s: ready", name)
                self._save()

    def _take_dead(self, now: float) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                name, generation, reason = self._dead.get_nowait()
                if name in self._processes:
                    self._processes[name].restart_dead(generation, reason, now)
                    logger.warning("%s: does not serve: %s", name, reason)

    def _stop_next(self, now: float) -> None:
        """Stop what no living process depends on and no later group still uses."""
        alive = [process for process in self._processes.values() if process.state not in AT_REST]
        groups = list(dict.fromkeys(process.group for process in alive))
        for process in alive:
            dependents = (other for other in alive if process.spec.name in other.spec.depends_on)
            if process.group == groups[-1] and not any(dependents):
                process.stop(now)

    def _save(self) -> None:
        text = json.dumps(self._status())
        partial = self._paths.state.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(text)
        partial.replace(self._paths.state)

    def _status(self) -> dict[str, Any]:
        records = [process.record() for process in self._processes.values()]
        return {"pid": os.getpid(), "processes": records}

    def _serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(REQUEST_TIMEOUT_S)
            try:
                with connection.makefile("rb") as lines:
                    request = json.loads(lines.readline(REQUEST_BYTES_MAX))
                answer = self._answer(request)
            except (KeyError, TypeError, ValueError) as error:
                answer = {"error": f"bad request: {error!r}"}
            except OSError:
                return
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        now = time.monotonic()
        match request["operation"]:
            case "status":
                pass
            case "add":
                self._add(request["group"], request["specs"], now)
            case "stop":
                self._stop(self._named(request["names"]), now)
            case "restart":
                for name in self._named(request["names"]):
                    self._processes[name].restart(now)
            case "remove":
                self._remove(self._named(request["names"]))
            case "shutdown":
                self._leave()
            case other:
                raise ValueError(other)
        return self._status()

    def _named(self, names: list[str]) -> set[str]:
        """Return the processes of these names or groups; unknown ones are ignored."""
        return {
            name
            for name, process in self._processes.items()
            if name in names or process.group in names
        }

    def _add(self, group: str, specs: list[dict[str, Any]], now: float) -> None:
        for spec in [ProcessSpec.from_json(data) for data in specs]:
            if spec.name in self._processes:
                self._processes[spec.name].replace(group, spec, now)
            else:
                self._processes[spec.name] = SupervisedProcess(group, spec)

    def _stop(self, names: set[str], now: float) -> None:
        for name in names:
            self._processes[name].stop(now)

    def _remove(self, names: set[str]) -> None:
        for name in names:
            if self._processes[name].state in AT_REST:
                del self._processes[name]
        self._save()


def hold_lock(lock_file: Path) -> int | None:
    """Return the descriptor of the held lock, or None when another supervisor holds it."""
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def main() -> int:
    """Run one supervisor in the background; a second one for the same folder leaves at once."""
    parser = argparse.ArgumentParser(prog="python -m infra.supervisor.daemon")
    parser.add_argument("--data-dir", type=Path, required=True)
    paths = SupervisorPaths(parser.parse_args().data_dir)
    paths.folder.mkdir(parents=True, exist_ok=True)
    detach()
    logging.basicConfig(
        filename=paths.log, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    if hold_lock(paths.lock) is None:
        return 0
    Supervisor(paths).run()
    return 0


def detach() -> None:
    """Go on as a background process of nobody's; the process that was started ends at once."""
    if os.fork() > 0:
        os._exit(0)
    os.setsid()


if __name__ == "__main__":
    sys.exit(main())
