"""Which port each server listens on: chosen once, remembered, kept while it can be."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Literal

HOST = "127.0.0.1"
PortChoice = Literal["standard", "free"]

# Below the range from which Linux takes the ports of outgoing connections (32768 and up), so that
# no client's connection sits on a server's port while that server is away.
FREE_PORTS = range(20_000, 32_000)


class PortBook:
    """The ports of one data folder, in ``ports.json``."""

    def __init__(self, data_dir: Path, choice: PortChoice, alive: Collection[str]) -> None:
        self._path = data_dir / "ports.json"
        self._choice = choice
        self._alive = frozenset(alive)
        self._lock = threading.Lock()
        self._ports = read_ports(data_dir)

    def take(self, server: str, role: str, standard: int, among: range = FREE_PORTS) -> int:
        """Return the port of a server's role.

        A living server keeps its port. Otherwise it is the remembered one, the standard one (when
        those are wished for) or one of ``among``: the first of these that nobody listens on.
        """
        key = f"{server}-{role}" if role else server
        with self._lock:
            remembered = self._ports.get(key)
            if remembered is not None and (server in self._alive or is_free(remembered)):
                return remembered
            port = self._choose(standard, among)
            self._ports[key] = port
            self._path.write_text(json.dumps(self._ports, indent=2, sort_keys=True) + "\n")
            return port

    def _choose(self, standard: int, among: range) -> int:
        taken = set(self._ports.values())
        wished = [standard] if self._choice == "standard" else []
        others = random.sample(among, len(among))
        for port in (*wished, *others):
            if port not in taken and is_free(port):
                return port
        raise OSError(f"no free port among {among}")


def read_ports(data_dir: Path) -> dict[str, int]:
    """Return the remembered ports of a data folder."""
    try:
        ports: dict[str, int] = json.loads((data_dir / "ports.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return ports


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
