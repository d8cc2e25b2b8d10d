"""Taking a server back to an earlier state: from a copy of its files, made while it was stopped."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.conftest import Servers
from tests.support.servers import ServerControl

#: What of a server's folder is its data; all else is configuration, and its log.
_DATA = {
    "kafka": "data",
    "postgres": "data",
    "redis": "appendonly.aof",
    "clickhouse": "data",
    "opensearch": "data",
}


class Backup:
    """A cold copy of one server's data."""

    def __init__(self, servers: Servers, name: str, folder: Path) -> None:
        self._control = ServerControl(servers)
        self._name = name
        self._data = self._control.folder(name) / _DATA[name]
        self._copy = folder / self._data.name

    def take(self) -> None:
        """Stop the server for a moment and copy its data."""
        with self._control.stopped(self._name):
            _copy(self._data, self._copy)

    def restore(self) -> None:
        """Stop the server, and let it start again as it was when the copy was taken."""
        with self._control.stopped(self._name):
            _remove(self._data)
            _copy(self._copy, self._data)


def _copy(source: Path, target: Path) -> None:
    # Owners are kept: PostgreSQL may run as somebody else than the test.
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
