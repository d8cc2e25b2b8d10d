"""``streamhub infra``: the native servers."""

from __future__ import annotations

import typer
from rich.table import Table

from infra.cli import running
from infra.cli.console import JsonOption, complain, out, print_json, show_progress
from infra.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command("up")
def infra_up(json: JsonOption = False) -> None:
    """Start the native servers that are needed and do not run.

    Example: streamhub infra up
    """
    from infra.places import start_servers

    urls = start_servers(Settings(), (lambda _server, _what: None) if json else show_progress)
    print_json(urls) if json else out.print(f"{len(urls)} servers are up")


@app.command("down")
def infra_down() -> None:
    """Stop the native servers and whatever runs on them; the data stays.

    Example: streamhub infra down
    """
    running.down()


@app.command("status")
def infra_status(json: JsonOption = False) -> None:
    """Show each server: state, process, port, memory, restarts. Exit code 1 unless all are ready.

    Example: streamhub infra status
    """
    from infra.places import native_stack

    statuses = native_stack(Settings()).status()
    if json:
        print_json([{**s.__dict__, "log_file": str(s.log_file)} for s in statuses])
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
    away = [s.name for s in statuses if s.state != "ready"]
    if away or not statuses:
        complain(f"not ready: {', '.join(away)}" if away else "no server was started here")
        raise typer.Exit(1)
