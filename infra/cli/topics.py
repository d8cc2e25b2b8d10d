"""``streamhub topics``: the topics of the log."""

from __future__ import annotations

import typer

from infra.cli.console import JsonOption, out, print_json, run
from infra.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command("apply")
def topics_apply(json: JsonOption = False) -> None:
    """Make the topics of the catalogue that are missing.

    Example: streamhub topics apply
    """
    from infra.everything import apply_all_topics

    made = run(apply_all_topics(Settings()))
    print_json(made) if json else out.print(f"{len(made)} topics made")
