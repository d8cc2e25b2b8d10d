"""What the supervisor is told to run: plain data that travels as JSON."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """How to ask a process, from outside, whether it serves.

    ``kind`` names a function of ``infra.supervisor.checks``; ``options`` are its arguments.
    """

    kind: str
    host: str
    port: int
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProcessSpec:
    """One process: how to start it, when it counts as ready, how to stop it.

    ``env`` is laid over the supervisor's own environment. Without a ``ready_check`` a process is
    ready once it has been started. Its standard output and error go to ``log_file``. A process
    waits until everything in ``depends_on`` (names of any group) is ready, and is stopped before
    it. A process whose ``alive_check`` fails for ``alive_timeout_s``, other than by taking too
    long, is stopped and started again. ``restart=False`` is for a process that is meant to end.
    Where processors are short, a process of a higher ``niceness`` (0 to 19) gets less of them.
    """

    name: str
    argv: tuple[str, ...]
    log_file: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready_check: Check | None = None
    alive_check: Check | None = None
    alive_timeout_s: float = 30.0
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 10.0
    start_timeout_s: float = 240.0
    depends_on: tuple[str, ...] = ()
    restart: bool = True
    niceness: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON-ready data; ``from_json`` gives an equal one back."""
        data = asdict(self)
        data["log_file"] = str(self.log_file)
        data["cwd"] = None if self.cwd is None else str(self.cwd)
        data["stop_signal"] = int(self.stop_signal)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ProcessSpec:
        """Return the spec that ``to_json`` described.

        Raises ``KeyError`` or ``TypeError`` when a field is missing or unknown.
        """
        fields = dict(data)
        for kind in ("ready_check", "alive_check"):
            check = fields[kind]
            fields[kind] = None if check is None else Check(**check)
        fields["cwd"] = None if fields["cwd"] is None else Path(fields["cwd"])
        fields["log_file"] = Path(fields["log_file"])
        fields["argv"] = tuple(fields["argv"])
        fields["depends_on"] = tuple(fields["depends_on"])
        return cls(**fields)
