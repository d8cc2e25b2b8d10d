"""``streamhub schemas``: the published contract."""

from __future__ import annotations

import typer

from infra.cli.console import complain, out

app = typer.Typer(no_args_is_help=True)


@app.command("check")
def schemas_check() -> None:
    """Check that the published schemas match the events and that no change breaks readers.

    Example: streamhub schemas check
    """
    from schemas.publish import check

    problems = check()
    for problem in problems:
        complain(problem)
    if problems:
        raise typer.Exit(1)
    out.print("the schemas are as published")


@app.command("write")
def schemas_write() -> None:
    """Write the schemas of events that are new; published ones are never changed.

    Example: streamhub schemas write
    """
    from schemas.publish import write

    written = write()
    out.print(f"{len(written)} schemas written")
