"""Where the supervisor of a data folder keeps its files."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

# The address of a Unix socket holds 108 bytes on Linux and 104 on macOS.
SOCKET_PATH_BYTES_MAX = 100


@dataclass(frozen=True)
class SupervisorPaths:
    """The files of the supervisor that serves ``data_dir``."""

    data_dir: Path

    @property
    def folder(self) -> Path:
        """The supervisor's own folder."""
        return self.data_dir.resolve() / "supervisor"

    @property
    def state(self) -> Path:
        """What runs: written at each change, read by the next supervisor."""
        return self.folder / "state.json"

    @property
    def lock(self) -> Path:
        """Held as long as a supervisor lives."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """The supervisor's own log."""
        return self.folder / "supervisor.log"

    @property
    def socket(self) -> Path:
        """Where it takes requests: in its folder, unless that path is too long for a socket."""
        path = self.folder / "socket"
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            return path
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"streamhub-{os.getuid()}-{digest}.socket"
