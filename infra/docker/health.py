"""Whether the process of a container works: ``python -m infra.docker.health api|worker``.

Exit code 0 says yes. An API works while ``/health`` answers 200. A worker answers nobody: it works
while it is connected to a Kafka broker, since one that can go no further ends by itself.
"""

from __future__ import annotations

import http.client
import sys
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from infra.settings import Settings

_TIMEOUT_S = 5.0


def api_works(settings: Settings) -> bool:
    """Whether the API of this container, and the stores that it needs, answer."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def worker_works(settings: Settings) -> bool:
    """Whether a process of this container has a connection to a broker."""
    ports = {int(server.rpartition(":")[2]) for server in settings.kafka_bootstrap.split(",")}
    return any(
        connection.status == psutil.CONN_ESTABLISHED and _port(connection.raddr) in ports
        for connection in psutil.net_connections("tcp")
    )


def _port(address: Any) -> int:
    """Return the port of psutil's address, which is an empty tuple where there is none."""
    return address.port if address else 0


CHECKS: Mapping[str, Callable[[Settings], bool]] = {"api": api_works, "worker": worker_works}


def main(arguments: list[str]) -> int:
    """Return 0 when it works, 1 when not, 2 for wrong usage."""
    if len(arguments) != 1 or arguments[0] not in CHECKS:
        sys.stderr.write(f"usage: python -m infra.docker.health {'|'.join(CHECKS)}\n")
        return 2
    return 0 if CHECKS[arguments[0]](Settings()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
