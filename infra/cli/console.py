"""What all commands of ``streamhub`` share: where they print, and how they run what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from projections.event_loop import new_event_loop

out = Console()
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def complain(line: str) -> None:
    """Print one line to the error output."""
    typer.echo(f"streamhub: {line}", err=True)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what the coroutine comes to."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


def print_json(data: Any) -> None:
    """Print data for scripts."""
    typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2, default=str).decode())


def show_progress(server: str, what: str) -> None:
    """Print a line of a long start."""
    out.print(f"  {server:<12} {what}", highlight=False)
