"""A ClickHouse server in one process: the embedded engine (chdb) behind ClickHouse's HTTP port.

    python -m infra.native.clickhouse_server --data-dir DIRECTORY --port 8123

It is meant for one machine and trusted clients: whoever may query may also read files through
table functions, as with the engine itself. Not served:

- ``compress=1`` and ``decompress=1``, ClickHouse's own block compression (content encodings are);
- ``INSERT … SELECT … FROM input(…)``, which the engine answers without inserting: it is refused;
- progress headers, and KILL QUERY by the id that a client chose;
- the zone of ``DateTime('zone')`` columns in Native results, because the engine cannot be told
  ``client_protocol_version``. The server's zone is UTC; ``DateTime64('zone')`` keeps its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from events.errors import StreamHubError
from infra.native.clickhouse.application import ClickHouseServer
from infra.native.clickhouse.engine import Engine

_log = structlog.get_logger()

_DEFAULT_PORT = 8123
_DEFAULT_MEMORY_MIB = 2048
_DEFAULT_KEEP_FREE_MIB = 256
# Statements that run at the same time; more wait. The engine's own threads follow the cores.
_DEFAULT_THREADS = 8
_SHUTDOWN_TIMEOUT_S = 10
_KEEP_ALIVE_S = 60
_METHODS = ["GET", "HEAD", "POST"]


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        engine = Engine(options.data_dir, options.memory_mib << 20, options.keep_free_mib << 20)
    except StreamHubError as failure:
        _log.error("clickhouse.refused", code=failure.code, reason=failure.message)
        return 1
    server = ClickHouseServer(engine, options.password, options.threads)
    _log.info("clickhouse.serving", host=options.host, port=options.port, version=engine.version)
    _serve(server, options.host, options.port)
    _log.info("clickhouse.stopped")
    return 0


def application(server: ClickHouseServer) -> Starlette:
    """Return the ASGI application that hands every path to the server, and closes it at the end."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        server.close()

    route = Route("/{path:path}", server.answer, methods=_METHODS)
    return Starlette(routes=[route], lifespan=lifespan)


def _serve(server: ClickHouseServer, host: str, port: int) -> None:
    configuration = uvicorn.Config(
        application(server),
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
    )
    # uvicorn raises the signal that stopped it once more, which would end the process by it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvicorn.Server(configuration).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A ClickHouse server over the embedded engine.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT)
    parser.add_argument(
        "--password",
        default=os.environ.get("CLICKHOUSE_PASSWORD", ""),
        help="of the user 'default' (default: $CLICKHOUSE_PASSWORD, or none)",
    )
    parser.add_argument("--memory-mib", type=int, default=_DEFAULT_MEMORY_MIB)
    parser.add_argument(
        "--keep-free-mib",
        type=int,
        default=_DEFAULT_KEEP_FREE_MIB,
        help="inserts are refused and merges put off while the disk has no more than this free",
    )
    parser.add_argument("--threads", type=int, default=_DEFAULT_THREADS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
