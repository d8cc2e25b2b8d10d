"""``streamhub up``, ``down``, ``serve``, ``worker``, ``demo``: what runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.cli.console import JsonOption, out, print_json, run, show_progress
from infra.collector import relieve_collector
from infra.logs import configure_logs
from infra.memory import keep_freed_memory
from infra.settings import Settings

app = typer.Typer(no_args_is_help=True)

Clip = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A film of yours instead of a made one."),
]
MaxRate = Annotated[float, typer.Option(min=0.0, help="Records a second at most; 0 for any.")]
Processes = Annotated[
    int, typer.Option(min=1, max=64, help="How many processes share the reading of the log.")
]


@app.command()
def up(
    clip: Clip = None,
    demo: Annotated[bool, typer.Option(help="Run the main job when all is up.")] = True,
    json: JsonOption = False,
) -> None:
    """Start everything in the background, run the main job and show what each store holds.

    Example: streamhub up --clip film.mp4
    """
    from infra.everything import start_everything

    settings = Settings()
    url = start_everything(settings, (lambda _server, _what: None) if json else show_progress)
    if demo:
        _run_demo(settings, url, clip, json=json)
    elif json:
        print_json({"url": url})


@app.command()
def down() -> None:
    """Stop everything; the data stays.

    Example: streamhub down
    """
    from infra.places import native_stack

    native_stack(Settings()).down()
    out.print("stopped")


@app.command()
def serve() -> None:
    """Answer commands and queries over HTTP until stopped.

    Example: streamhub serve
    """
    import uvicorn

    from infra.hanging import ended_if_it_hangs
    from infra.http.app import create_app
    from infra.http.one_write import OneWriteProtocol

    settings = Settings()
    configure_logs("api", settings.log_level)
    app = create_app(settings, lambda: server.should_exit)
    config = uvicorn.Config(
        app,
        http=OneWriteProtocol,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
        server_header=False,
    )
    server = uvicorn.Server(config)

    async def serve_until_stopped() -> None:
        async with ended_if_it_hangs(settings.stall_seconds):
            await server.serve()

    with contextlib.suppress(KeyboardInterrupt):
        run(serve_until_stopped())
    if not server.started:
        raise typer.Exit(3)


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
    run(run_worker(settings, wanted))


@app.command()
def deploy(
    max_rate: MaxRate = 0.0,
    processes: Processes = 1,
    json: JsonOption = False,
) -> None:
    """Build every read model whose declaration has a new version, and switch readers to it.

    Call it with the new release beside the processes of the old one; reads go on meanwhile.

    Example: streamhub deploy
    """
    from infra.rebuild.operations import RebuildOptions, deploy

    relieve_collector()
    keep_freed_memory()
    settings = Settings()
    options = RebuildOptions(max_rate, processes)
    built = run(deploy(settings, options, None if json else out))
    if json:
        print_json(built)
    else:
        names = ", ".join(f"{row['projection']} {row['build']}" for row in built)
        out.print(f"readers see {names}" if built else "every read model is of this release")


@app.command()
def demo(
    clip: Clip = None,
    url: Annotated[str, typer.Option(help="Where the API answers.")] = "",
    json: JsonOption = False,
) -> None:
    """Run the main job over HTTP and show what each store and the log then hold.

    Example: streamhub demo --clip film.mp4
    """
    from infra.app_processes import api_port

    settings = Settings()
    base = url or f"http://{settings.host}:{api_port(settings)}"
    _run_demo(settings, base, clip, json=json)


def _run_demo(settings: Settings, url: str, clip: Path | None, *, json: bool) -> None:
    from infra.demo import DemoFailed, run_demo

    outcome = run(run_demo(settings, url, clip, Console(quiet=True) if json else out))
    if json:
        print_json(outcome.as_data())
    if not outcome.agrees:
        raise DemoFailed("the stores do not agree")
