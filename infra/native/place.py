"""What a server module is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.native.ports import FREE_PORTS, PortBook
from infra.supervisor.spec import ProcessSpec


@dataclass(frozen=True)
class Place:
    """Where the server ``name`` lives and what it may use.

    ``folder`` is its own data folder; ``progress`` tells a person what takes time.
    """

    name: str
    folder: Path
    cache_dir: Path
    heap_mb: int
    ports: PortBook
    progress: Callable[[str], None]

    @property
    def log_file(self) -> Path:
        """Where the server writes its log."""
        return self.folder / "server.log"

    def port(self, role: str, standard: int, among: range = FREE_PORTS) -> int:
        """Return the port to listen on for a role; "" is the one that clients use."""
        return self.ports.take(self.name, role, standard, among)


@dataclass(frozen=True)
class PreparedServer:
    """A server that is ready to be started: its address and its process.

    ``explain`` finds out why it does not start, for a server whose log does not say.
    """

    url: str
    spec: ProcessSpec
    explain: Callable[[], str] | None = None
