"""``streamhub``: the one command of operators and developers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from events.errors import StreamHubError
from infra.logs import configure_logs
from infra.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="StreamHub: an event-sourced video-streaming backend on Kafka.",
)
infra_app = typer.Typer(no_args_is_help=True, help="The native servers.")
topics_app = typer.Typer(no_args_is_help=True, help="The topics of the log.")
projections_app = typer.Typer(no_args_is_help=True, help="The read models.")
users_app = typer.Typer(no_args_is_help=True, help="Accounts, for operators.")
schemas_app = typer.Typer(no_args_is_help=True, help="The published contract.")
for name, part in (
    ("infra", infra_app),
    ("topics", topics_app),
    ("projections", projections_app),
    ("users", users_app),
    ("schemas", schemas_app),
):
    app.add_typer(part, name=name)

out = Console()
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def main() -> None:
    """Run a command; what goes wrong is one line and exit code 1, wrong usage is 2."""
    try:
        app()
    except ValidationError as error:
        for problem in error.errors():
            field = "_".join(str(part) for part in problem["loc"]).upper()
            _complain(f"STREAMHUB_{field}: {problem['msg']}" if field else str(problem["msg"]))
        sys.exit(1)
    except StreamHubError as error:
        _complain(f"{error.code}: {error.message}")
        sys.exit(1)


def _complain(line: str) -> None:
    typer.echo(f"streamhub: {line}", err=True)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _print_json(data: Any) -> None:
    typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2, default=str).decode())


def _progress(server: str, what: str) -> None:
    out.print(f"  {server:<12} {what}", highlight=False)


@app.command()
def up(
    clip: Annotated[Path | None, typer.Option(help="A film of yours for the main job.")] = None,
    demo: Annotated[bool, typer.Option(help="Run the main job when all is up.")] = True,
) -> None:
    """Start everything in the background, run the main job and show what each store holds.

    Example: streamhub up --clip film.mp4
    """
    from infra.demo import run_demo
    from infra.everything import start_everything

    settings = Settings()
    url = start_everything(settings, _progress)
    if demo:
        _run(run_demo(settings, url, clip, out))


@app.command()
def down() -> None:
    """Stop everything; the data stays.

    Example: streamhub down
    """
    from infra.places import native_stack

    native_stack(Settings()).down()
    out.print("stopped")


@infra_app.command("up")
def infra_up(json: JsonOption = False) -> None:
    """Start the native servers that are needed and do not run.

    Example: streamhub infra up
    """
    from infra.places import start_servers

    urls = start_servers(Settings(), (lambda _server, _what: None) if json else _progress)
    _print_json(urls) if json else out.print(f"{len(urls)} servers are up")


@infra_app.command("down")
def infra_down() -> None:
    """Stop the native servers and whatever runs on them; the data stays.

    Example: streamhub infra down
    """
    down()


@infra_app.command("status")
def infra_status(json: JsonOption = False) -> None:
    """Show each server: state, process, port, memory, restarts. Exit code 1 unless all are ready.

    Example: streamhub infra status
    """
    from infra.places import native_stack

    statuses = native_stack(Settings()).status()
    if json:
        _print_json([{**s.__dict__, "log_file": str(s.log_file)} for s in statuses])
    else:
        table = Table("server", "state", "pid", "port", "memory", "up", "restarts", "detail")
        for s in statuses:
            table.add_row(
                s.name,
                s.state,
                str(s.pid or ""),
                str(s.port),
                f"{s.memory_bytes // 2**20} MiB",
                f"{s.uptime_s:.0f} s",
                str(s.restarts),
                s.detail,
            )
        out.print(table)
    if not statuses or any(s.state != "ready" for s in statuses):
        raise typer.Exit(1)


@topics_app.command("apply")
def topics_apply(json: JsonOption = False) -> None:
    """Make the topics of the catalogue that are missing.

    Example: streamhub topics apply
    """
    from infra.everything import apply_all_topics

    made = _run(apply_all_topics(Settings()))
    _print_json(made) if json else out.print(f"{len(made)} topics made")


@app.command()
def serve() -> None:
    """Answer commands and queries over HTTP until stopped.

    Example: streamhub serve
    """
    import uvicorn

    from infra.http.app import create_app

    settings = Settings()
    configure_logs("api", settings.log_level)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
        server_header=False,
    )


@app.command()
def worker(
    roles: Annotated[
        list[str],
        typer.Argument(
            help="commands, projections, projections-postgres|redis|clickhouse|opensearch, "
            "processors, transcode, moderate, verdicts"
        ),
    ],
) -> None:
    """Do background work until stopped: any subset of roles in one process.

    Example: streamhub worker commands projections
    """
    from infra.worker import Role, run_worker

    try:
        wanted = [Role(role) for role in roles]
    except ValueError as error:
        raise typer.BadParameter(f"{error}; known roles: {', '.join(Role)}") from None
    settings = Settings()
    configure_logs("-".join(["worker", *roles]), settings.log_level)
    _run(run_worker(settings, wanted))


@app.command()
def demo(
    clip: Annotated[
        Path | None, typer.Option(help="A film of yours instead of a made one.")
    ] = None,
    url: Annotated[str, typer.Option(help="Where the API answers.")] = "",
) -> None:
    """Run the main job over HTTP and show what each store and the log then hold.

    Example: streamhub demo --clip film.mp4
    """
    from infra.app_processes import api_port
    from infra.demo import run_demo

    settings = Settings()
    base = url or f"http://{settings.host}:{api_port(settings)}"
    _run(run_demo(settings, base, clip, out))


@projections_app.command("list")
def projections_list(json: JsonOption = False) -> None:
    """List the projections: version, store, events, tables.

    Example: streamhub projections list
    """
    from projections.registry import PROJECTIONS

    rows: list[dict[str, Any]] = [
        {
            "name": p.name,
            "version": p.version,
            "store": p.store,
            "topics": sorted(p.topics()),
            "events": [event.stored_name() for event in p.events],
            "tables": [table.name for table in p.tables],
        }
        for p in PROJECTIONS
    ]
    if json:
        _print_json(rows)
        return
    table = Table("projection", "version", "store", "topics", "events")
    for row in rows:
        topics = ", ".join(row["topics"])
        table.add_row(
            row["name"], str(row["version"]), row["store"], topics, str(len(row["events"]))
        )
    out.print(table)


@projections_app.command("status")
def projections_status(json: JsonOption = False) -> None:
    """Show how far each projection is behind the log, in records and in seconds.

    Example: streamhub projections status --json
    """
    from infra.everything import measure_lag

    lags = _run(measure_lag(Settings()))
    if json:
        _print_json(
            [
                {
                    "projection": lag.projection,
                    "topic": lag.source.topic,
                    "partition": lag.source.partition,
                    "position": lag.position,
                    "end": lag.end,
                    "lagEvents": lag.events,
                    "lagSeconds": round(lag.seconds, 3),
                }
                for lag in lags
            ]
        )
        return
    table = Table("projection", "partitions", "applied", "lag (records)", "lag (seconds)")
    for projection in dict.fromkeys(lag.projection for lag in lags):
        mine = [lag for lag in lags if lag.projection == projection]
        table.add_row(
            projection,
            str(len(mine)),
            str(sum(lag.position for lag in mine)),
            str(sum(lag.events for lag in mine)),
            f"{max((lag.seconds for lag in mine), default=0.0):.1f}",
        )
    out.print(table)


@users_app.command("set-role")
def users_set_role(
    email: Annotated[str, typer.Argument(help="Whose role.")],
    role: Annotated[str, typer.Argument(help="viewer, creator or admin")],
) -> None:
    """Give an account another role; it holds from the next sign-in on.

    Example: streamhub users set-role ada@example.org admin
    """
    from events.users import Role
    from infra.everything import set_role

    try:
        wanted = Role(role)
    except ValueError:
        raise typer.BadParameter(f"'{role}' is not one of {', '.join(Role)}") from None
    _run(set_role(Settings(), email, wanted))
    out.print(f"{email} is {wanted}")


@schemas_app.command("check")
def schemas_check() -> None:
    """Check that the published schemas match the events and that no change breaks readers.

    Example: streamhub schemas check
    """
    from schemas.publish import check

    problems = check()
    for problem in problems:
        _complain(problem)
    if problems:
        raise typer.Exit(1)
    out.print("the schemas are as published")


@schemas_app.command("write")
def schemas_write() -> None:
    """Write the schemas of events that are new; published ones are never changed.

    Example: streamhub schemas write
    """
    from schemas.publish import write

    written = write()
    out.print(f"{len(written)} schemas written")


if __name__ == "__main__":
    main()
