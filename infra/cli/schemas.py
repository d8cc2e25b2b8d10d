"""``streamhub schemas``: the published contract."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.console import JsonOption, complain, out, print_json

app = typer.Typer(no_args_is_help=True)


@app.command("check")
def schemas_check(
    against: Annotated[
        str, typer.Option(help="A git revision whose published schemas must still hold.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Check that the published schemas match the events and that no change breaks readers.

    Example: streamhub schemas check --against v0.1.0
    """
    from infra.schema_history import check_against
    from schemas import asyncapi, publish

    problems = [*publish.check(), *asyncapi.check()]
    if against:
        problems += check_against(against)
    if json:
        print_json({"ok": not problems, "problems": problems})
    for problem in problems:
        complain(problem)
    if problems:
        raise typer.Exit(1)
    if not json:
        out.print("the schemas are as published")


@app.command("write")
def schemas_write(json: JsonOption = False) -> None:
    """Write the schemas of new events, and the AsyncAPI document; promises are never changed.

    Example: streamhub schemas write
    """
    from schemas import asyncapi, publish

    written = publish.write()
    documents = asyncapi.write()
    if json:
        print_json({"schemas": written, "asyncapi": documents})
        return
    out.print(f"{len(written)} schemas and {len(documents)} AsyncAPI documents written")


@app.command("asyncapi")
def schemas_asyncapi() -> None:
    """Print the AsyncAPI 3.0 document of the log.

    Example: streamhub schemas asyncapi > asyncapi.json
    """
    from schemas.asyncapi import encoded

    typer.echo(encoded().decode(), nl=False)
