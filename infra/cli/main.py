"""``streamhub``: the one command of operators and developers."""

from __future__ import annotations

import logging
import sys

import typer
from pydantic import ValidationError

from events.errors import StreamHubError
from infra.cli import deadletters, gdpr, log, projections, running, schemas, servers, topics, users
from infra.cli.console import complain
from infra.logs import configure_logs

#: Whose errors tell of a server that is away or refuses us.
_CLIENTS = frozenset(
    {
        "aiokafka",
        "asyncpg",
        "clickhouse_connect",
        "confluent_kafka",
        "httpcore",
        "httpx",
        "minio",
        "opensearchpy",
        "redis",
        "urllib3",
    }
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="StreamHub: an event-sourced video-streaming backend on Kafka.",
)
app.add_typer(running.app)
app.add_typer(servers.app, name="infra", help="The native servers.")
app.add_typer(topics.app, name="topics", help="The topics of the log.")
app.add_typer(projections.app, name="projections", help="The read models.")
app.add_typer(log.app, name="log", help="The log: read, prove, export, replay.")
app.add_typer(users.app, name="users", help="Accounts, for operators.")
app.add_typer(schemas.app, name="schemas", help="The published contract.")
app.add_typer(deadletters.app, name="deadletters", help="Records that nobody could digest.")
app.add_typer(gdpr.app, name="gdpr", help="What is held of a person.")


def main() -> None:
    """Run a command; what goes wrong is one line and exit code 1, wrong usage is 2."""
    # What libraries say of a server that is away, our one line says too.
    configure_logs("streamhub", "warning", logging.CRITICAL)
    try:
        app()
    except ValidationError as error:
        for problem in error.errors():
            field = "_".join(str(part) for part in problem["loc"]).upper()
            complain(f"STREAMHUB_{field}: {problem['msg']}" if field else str(problem["msg"]))
        sys.exit(1)
    except StreamHubError as error:
        complain(f"{error.code}: {error.message}")
        sys.exit(1)
    except Exception as error:
        if not _is_of_a_server(error):
            raise
        complain(_sentence(error))
        sys.exit(1)


def _sentence(error: Exception) -> str:
    """Return in one line what failed us."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"FILE: {error.filename}: {error.strerror}"
    return f"UNAVAILABLE: {type(error).__name__}: {' '.join(str(error).split())}"


def _is_of_a_server(error: Exception) -> bool:
    """Tell whether a server, a file or the network failed us, rather than our own code."""
    origins = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return isinstance(error, OSError) or bool(origins & _CLIENTS)
