"""One supervised process and the states that it goes through.

    waiting ──▶ starting ──▶ ready ──▶ stopping ──▶ stopped
       ▲            │          │           │
       │            └────┬─────┘           └──▶ waiting   (restart, or a changed spec)
       └── restarting ◀──┴──▶ exited | failed

Nothing here blocks: the daemon calls ``advance`` again and again. ``now`` is always the monotonic
clock; what people and the next supervisor read (``started_at``, ``ready_at``) is wall-clock time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from enum import StrEnum
from typing import Any

import psutil

from infra.supervisor.priority import stand_back
from infra.supervisor.spec import ProcessSpec

# The first restart is immediate; later ones wait 0.5 s, 1 s, 2 s … up to the cap.
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 15.0
# A process that stayed ready this long has earned an immediate restart again.
STEADY_S = 30.0
# A process that was never ready is a broken one: starting it for ever would only hide that.
FIRST_STARTS_MAX = 3
# Clock corrections move the create time that the system reports by a little.
CREATE_TIME_TOLERANCE_S = 2.0


class State(StrEnum):
    """Where a process stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    EXITED = "exited"
    FAILED = "failed"


SERVING = frozenset({State.STARTING, State.READY})
ALIVE = SERVING | {State.STOPPING}
AT_REST = frozenset({State.STOPPED, State.EXITED, State.FAILED})


class SupervisedProcess:
    """A spec and, while it runs, the process that was started or adopted for it."""

    def __init__(self, group: str, spec: ProcessSpec) -> None:
        self.group = group
        self.spec = spec
        self.state = State.WAITING
        self.pid: int | None = None
        self.create_time = 0.0
        self.started_at = 0.0
        self.ready_at = 0.0
        self.restarts = 0
        self.last_exit = ""
        self.detail = ""
        self.generation = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._ever_ready = False
        self._starts = 0
        self._backoff_s = 0.0
        self._due_at = 0.0
        self._deadline = 0.0
        self._ready_since: float | None = None
        self._killed_because = ""
        self._successor: ProcessSpec | None = None

    @classmethod
    def adopt(cls, record: dict[str, Any], now: float) -> SupervisedProcess | None:
        """Return the still running process of a state record, or None when it is gone.

        A process is the recorded one when both its id and its create time are: ids are reused.
        """
        pid, create_time = record["pid"], record["create_time"]
        if pid is None or not is_running(pid, create_time):
            return None
        process = cls(record["group"], ProcessSpec.from_json(record["spec"]))
        process.pid, process.create_time = pid, create_time
        process.restarts, process.started_at = record["restarts"], record["started_at"]
        process.last_exit = record["last_exit"]
        process.state = State.STARTING
        process.generation = 1
        process._ever_ready = record["state"] == State.READY
        process._deadline = now + process.spec.start_timeout_s
        return process

    def record(self) -> dict[str, Any]:
        """Return what the state file and the status answer hold about this process."""
        return {
            "name": self.spec.name,
            "group": self.group,
            "state": str(self.state),
            "pid": self.pid,
            "create_time": self.create_time,
            "started_at": self.started_at,
            "ready_at": self.ready_at,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
            "detail": self.detail,
            "spec": self.spec.to_json(),
        }

    def seconds_to_next_change(self, now: float) -> float | None:
        """Return how long ``advance`` has nothing to do, as far as the clock is concerned."""
        match self.state:
            case State.RESTARTING:
                return max(0.0, self._due_at - now)
            case State.STARTING | State.STOPPING:
                return max(0.0, self._deadline - now)
            case _:
                return None

    @property
    def is_adopted(self) -> bool:
        """Whether it is another supervisor's child, so that its end raises no signal here."""
        return self.pid is not None and self._child is None

    def advance(self, now: float, *, may_start: bool) -> bool:
        """Take the step that is due, if any; True when the state changed."""
        before = self.state, self.pid
        if self.state in ALIVE:
            ending = self._ending()
            if ending is not None:
                self._on_exit(ending, now)
            elif self.state is not State.READY and now >= self._deadline:
                self._on_deadline(now)
        if self.state is State.RESTARTING and now >= self._due_at:
            self.state = State.WAITING
        if self.state is State.WAITING and may_start:
            self._start(now)
        return before != (self.state, self.pid)

    def mark_ready(self, generation: int, now: float) -> None:
        """Take in that the ready check of the given start succeeded."""
        if self.state is State.STARTING and generation == self.generation:
            self.state, self.ready_at, self.detail = State.READY, time.time(), ""
            self._ready_since = now
            self._ever_ready = True

    def restart_dead(self, generation: int, reason: str, now: float) -> None:
        """Stop the given start, which runs but does not serve, and start it again.

        In order where that is possible: what an end by force led to, another may lead to again.
        """
        if self.state is State.READY and generation == self.generation:
            self.restarts += 1
            self._killed_because = f"ended: {reason} for {self.spec.alive_timeout_s:g} s"
            self.restart(now)

    def replace(self, group: str, spec: ProcessSpec, now: float) -> None:
        """Run this spec from now on; an unchanged one that runs is left alone."""
        self.group = group
        if spec == (self._successor or self.spec) and self._is_wanted():
            return
        self._successor = spec
        self._ever_ready, self._starts = False, 0
        if self.state in ALIVE:
            self._signal_stop(now)
        else:
            self._begin_again()

    def restart(self, now: float) -> None:
        """Stop it if it runs, then start it."""
        self._successor = self._successor or self.spec
        self._starts = 0
        if self.state in ALIVE:
            self._signal_stop(now)
        else:
            self._begin_again()

    def stop(self, now: float) -> None:
        """Ask it to end; ``advance`` kills it when ``stop_timeout_s`` has passed."""
        self._successor = None
        if self.state in ALIVE:
            self._signal_stop(now)
        elif self.state not in AT_REST:
            self.state = State.STOPPED

    def _is_wanted(self) -> bool:
        if self.state is State.STOPPING:
            return self._successor is not None
        return self.state not in AT_REST

    def _begin_again(self) -> None:
        self.spec = self._successor or self.spec
        self._successor = None
        self._backoff_s = 0.0
        self.state, self.detail = State.WAITING, ""

    def _start(self, now: float) -> None:
        self._starts += 1
        self.generation += 1
        self.started_at, self.ready_at, self._ready_since = time.time(), 0.0, None
        self._deadline = now + self.spec.start_timeout_s
        try:
            self._child = self._spawn()
        except OSError as error:
            self._on_exit(f"cannot be started: {error}", now)
            return
        self.pid = self._child.pid
        if self.spec.niceness:
            stand_back(self.pid, self.spec.niceness)
        with contextlib.suppress(psutil.NoSuchProcess):
            self.create_time = psutil.Process(self.pid).create_time()
        self.state = State.STARTING
        if self.spec.ready_check is None:
            self.mark_ready(self.generation, now)

    def _spawn(self) -> subprocess.Popen[bytes]:
        self.spec.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log_file.open("ab") as log:
            # A session of its own: a Ctrl-C in the terminal of `up` must not reach a server.
            return subprocess.Popen(  # noqa: S603 - to run what it is told is the purpose
                self.spec.argv,
                env={**os.environ, **self.spec.env},
                cwd=self.spec.cwd,
                stdin=subprocess.DEVNULL,
                # What servers write is their owner's alone (S3 objects open to all are public).
                umask=0o077,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _ending(self) -> str | None:
        """Return how the process ended, or None while it runs."""
        if self._child is not None:
            code = self._child.poll()
            return None if code is None else describe_exit(code)
        running = self.pid is not None and is_running(self.pid, self.create_time)
        return None if running else "ended, and was no child whose status could be read"

    def _on_exit(self, ending: str, now: float) -> None:
        self._signal_group(signal.SIGKILL)
        ending, self._killed_because = self._killed_because or ending, ""
        self.last_exit, self.pid, self._child = ending, None, None
        self.create_time = 0.0
        if self.state is State.STOPPING:
            self.state = State.STOPPED
            if self._successor is not None:
                self._begin_again()
            return
        if not self.spec.restart:
            self.state, self.detail = State.EXITED, ending
        elif not self._ever_ready and self._starts >= FIRST_STARTS_MAX:
            self.state = State.FAILED
            self.detail = f"{ending}, {self._starts} times before it was ever ready"
        else:
            self._schedule_restart(ending, now)

    def _schedule_restart(self, ending: str, now: float) -> None:
        if self._ready_since is not None and now - self._ready_since >= STEADY_S:
            self._backoff_s = 0.0
        self.restarts += 1
        self.state, self.detail = State.RESTARTING, ending
        self._due_at = now + self._backoff_s
        self._backoff_s = min(BACKOFF_MAX_S, max(BACKOFF_FIRST_S, 2 * self._backoff_s))

    def _on_deadline(self, now: float) -> None:
        """End what neither became ready nor stopped in its time."""
        if self.state is State.STARTING:
            self._killed_because = f"not ready within {self.spec.start_timeout_s:g} s"
        else:
            self._killed_because = f"killed: did not stop within {self.spec.stop_timeout_s:g} s"
        self._signal_group(signal.SIGKILL)
        # The end is noticed by the next `advance`; this only keeps the deadline from firing again.
        self._deadline = now + 1.0

    def _signal_stop(self, now: float) -> None:
        if self.state is State.STOPPING:
            return
        self.state = State.STOPPING
        self._deadline = now + self.spec.stop_timeout_s
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.spec.stop_signal)

    def _signal_group(self, number: int) -> None:
        """Reach the process and the children that it left in its group."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


def is_running(pid: int, create_time: float) -> bool:
    """Whether the process with this id is the one that was created at this time, and alive."""
    try:
        found = psutil.Process(pid)
        same = abs(found.create_time() - create_time) <= CREATE_TIME_TOLERANCE_S
        return same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def describe_exit(code: int) -> str:
    """Return an exit status as a person reads it; a negative code is a signal's number."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
