"""The servers that can run natively: how each is prepared and how much heap it is given."""

from __future__ import annotations

import sys
from collections.abc import Callable

from infra.native.kafka import prepare_kafka
from infra.native.opensearch import prepare_opensearch
from infra.native.place import Place, PreparedServer
from infra.native.ports import HOST
from infra.native.postgres import prepare_postgres
from infra.native.redis import prepare_redis
from infra.native.s3 import prepare_s3
from infra.supervisor.client import module_environment
from infra.supervisor.spec import Check, ProcessSpec

CLICKHOUSE_PORT = 8123


def prepare_clickhouse(place: Place) -> PreparedServer:
    """Return the process that serves the embedded ClickHouse engine over HTTP."""
    port = place.port("", CLICKHOUSE_PORT)
    data = place.folder / "data"
    module = (sys.executable, "-m", "infra.native.clickhouse_server")
    spec = ProcessSpec(
        name="clickhouse",
        argv=(*module, "--data-dir", str(data), "--host", HOST, "--port", str(port)),
        log_file=place.log_file,
        env=module_environment(),
        cwd=place.folder,
        ready_check=Check("http", HOST, port, {"path": "/ping", "expect": "Ok."}),
        stop_timeout_s=20.0,
    )
    return PreparedServer(f"http://{HOST}:{port}", spec)


SERVERS: dict[str, Callable[[Place], PreparedServer]] = {
    "kafka": prepare_kafka,
    "postgres": prepare_postgres,
    "redis": prepare_redis,
    "clickhouse": prepare_clickhouse,
    "opensearch": prepare_opensearch,
    "s3": prepare_s3,
}

# MiB of Java heap; what is not named here is no Java program.
HEAP_MB: dict[str, int] = {"kafka": 512, "opensearch": 512, "s3": 192}
