"""``streamhub deadletters``: records that a reader could not digest, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from events import clock
from infra.cli.console import JsonOption, complain, out, print_json, run
from infra.logs import configure_logs
from infra.settings import Settings

if TYPE_CHECKING:
    from events.deadletters import DeadLetter
    from infra.dead_letters.desk import Choice
    from infra.dead_letters.topic import Filters

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _logs() -> None:
    """Keep logs out of what is printed."""
    configure_logs("deadletters", "warning")


_SHOWN_CHARACTERS = 80

Ids = Annotated[list[str] | None, typer.Argument(help="Letters, such as 0:17.")]
Reader = Annotated[str, typer.Option(help="A projection, a reaction, commands, projections-STORE.")]
Topic = Annotated[str, typer.Option(help="The topic that the record stands in.")]
Type = Annotated[str, typer.Option("--type", help="Stored name, with or without version.")]
Key = Annotated[str, typer.Option(help="The record's key.")]
Since = Annotated[str, typer.Option(help="Buried since then: RFC 3339, or 30m, 2h, 7d ago.")]
Error = Annotated[str, typer.Option(help="A part of the reason.")]
State = Annotated[str, typer.Option(help="open, retried, discarded or all.")]


@app.command("list")
def deadletters_list(
    reader: Reader = "",
    topic: Topic = "",
    type_: Type = "",
    key: Key = "",
    since: Since = "",
    error: Error = "",
    state: State = "open",
    limit: Annotated[int, typer.Option(min=1, help="Show so many at most.")] = 100,
    json: JsonOption = False,
) -> None:
    """List dead letters, open ones unless told otherwise; filters combine.

    Example: streamhub deadletters list --reader watch_page --since 2h
    """
    from infra.dead_letters.desk import as_data

    filters = _filters(reader, topic, type_, key, since, error, state)
    letters = run(_read(lambda desk: list(desk.chosen(filters))))
    if json:
        print_json([as_data(letter) for letter in letters[:limit]])
        return
    table = Table("letter", "state", "reader", "record", "type", "buried", "reason")
    for letter in letters[:limit]:
        source = letter.record.source
        table.add_row(
            letter.id,
            letter.state,
            letter.reader,
            f"{source.topic}/{source.partition}/{letter.record.offset}",
            letter.type,
            clock.to_text(letter.time),
            letter.reason[:_SHOWN_CHARACTERS],
        )
    out.print(table)
    out.print(f"{min(limit, len(letters))} of {len(letters)}")


@app.command("show")
def deadletters_show(
    letter: Annotated[str, typer.Argument(help="A letter, such as 0:17.")],
    json: JsonOption = False,
) -> None:
    """Show a dead letter: the record as it is in the log, the error, the traceback.

    Example: streamhub deadletters show 0:17
    """
    from infra.dead_letters.desk import in_full

    [found] = run(_read(lambda desk: desk.named([letter])))
    if json:
        print_json(in_full(found))
        return
    for name, value in in_full(found).items():
        text = str(value)
        out.print(f"[bold]{name}[/bold]", highlight=False)
        out.print(text, highlight=False, markup=False)


@app.command("retry")
def deadletters_retry(
    letters: Ids = None,
    reader: Reader = "",
    topic: Topic = "",
    type_: Type = "",
    key: Key = "",
    since: Since = "",
    error: Error = "",
    json: JsonOption = False,
) -> None:
    """Apply dead letters again, each once, oldest first; exit code 1 if one fails again.

    Example: streamhub deadletters retry --reader watch_page
    """
    from infra.dead_letters.desk import retry

    chosen = _choice(letters, _filters(reader, topic, type_, key, since, error, "open"))
    results = run(retry(Settings(), chosen))
    _report(results, json=json)


@app.command("discard")
def deadletters_discard(
    because: Annotated[str, typer.Option("--because", help="Why; it is kept.")],
    letters: Ids = None,
    reader: Reader = "",
    topic: Topic = "",
    type_: Type = "",
    key: Key = "",
    since: Since = "",
    error: Error = "",
    json: JsonOption = False,
) -> None:
    """Decide that dead letters are never applied; they stay in the topic.

    Example: streamhub deadletters discard 0:17 --because "a test of ours"
    """
    from infra.dead_letters.desk import discard
    from infra.places import find_places

    chosen = _choice(letters, _filters(reader, topic, type_, key, since, error, "open"))
    results = run(discard(find_places(Settings()).kafka, chosen, because))
    _report(results, json=json)


def _filters(
    reader: str, topic: str, type_: str, key: str, since: str, error: str, state: str
) -> Filters:
    from events.errors import Invalid
    from infra.dead_letters.desk import filters_of

    said = {"reader": reader, "topic": topic, "type": type_, "key": key, "error": error}
    try:
        return filters_of({**said, "since": since, "state": state})
    except Invalid as error_:
        raise typer.BadParameter(error_.details[0].message) from None


def _choice(letters: Sequence[str] | None, filters: Filters) -> Choice:
    """Return how letters are chosen: by id, or by filters of which there must be one."""
    if letters:
        return lambda desk: desk.named(letters)
    if not filters.narrows:
        raise typer.BadParameter("name letters, or filter them")
    return lambda desk: list(desk.chosen(filters))


async def _read(choose: Choice) -> Sequence[DeadLetter]:
    from infra.dead_letters.topic import read_letters
    from infra.places import find_places

    return choose(await read_letters(find_places(Settings()).kafka))


def _report(results: Sequence[dict[str, Any]], *, json: bool) -> None:
    failed = [result for result in results if result["error"]]
    if json:
        print_json(results)
    else:
        for result in results:
            if not result["error"]:
                out.print(f"{result['letter']} {result['state']}: {result['result']}", markup=False)
        out.print(f"{len(results) - len(failed)} of {len(results)}")
    for result in failed:
        complain(f"{result['letter']}: {result['error']}")
    if failed:
        raise typer.Exit(1)
