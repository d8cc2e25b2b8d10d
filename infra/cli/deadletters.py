"""``streamhub deadletters``: records that a reader could not digest, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from events import clock
from infra.cli.console import JsonOption, complain, out, print_json, run
from infra.logs import configure_logs
from infra.settings import Settings

if TYPE_CHECKING:
    from events.deadletters import DeadLetter
    from infra.dead_letters.topic import Filters, LetterTopic

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _logs() -> None:
    """Keep logs out of what is printed."""
    configure_logs("deadletters", "warning")


_AGO = re.compile(r"^(\d+)([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
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
    filters = _filters(reader, topic, type_, key, since, error, state)
    letters = run(_read(lambda desk: list(desk.chosen(filters))))
    if json:
        print_json([_as_data(letter) for letter in letters[:limit]])
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
    [found] = run(_read(lambda desk: desk.named([letter])))
    if json:
        print_json(_in_full(found))
        return
    for name, value in _in_full(found).items():
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
    chosen = _choice(letters, _filters(reader, topic, type_, key, since, error, "open"))
    results = run(_retry(chosen))
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
    chosen = _choice(letters, _filters(reader, topic, type_, key, since, error, "open"))
    results = run(_discard(chosen, because))
    _report(results, json=json)


Choice = Callable[["LetterTopic"], Sequence["DeadLetter"]]


def _filters(
    reader: str, topic: str, type_: str, key: str, since: str, error: str, state: str
) -> Filters:
    from events.deadletters import LetterState
    from infra.dead_letters.topic import Filters

    try:
        wanted = None if state == "all" else LetterState(state)
    except ValueError:
        raise typer.BadParameter(f"'{state}' is not one of {', '.join(LetterState)}, all") from None
    return Filters(reader, topic, type_, key, error, _moment(since), wanted)


def _moment(text: str) -> datetime | None:
    """Return the moment that a text names, or that is so long ago."""
    if not text:
        return None
    ago = _AGO.match(text)
    if ago:
        return clock.now() - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    try:
        moment = clock.from_text(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is neither a time nor 30m, 2h, 7d") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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


async def _retry(choose: Choice) -> list[dict[str, Any]]:
    from events.deadletters import LetterState
    from infra.bootstrap.core import open_core
    from infra.dead_letters.retry import Retry
    from infra.dead_letters.topic import read_letters

    async with open_core(Settings()) as core:
        desk = await read_letters(core.places.kafka)
        retry = Retry(core, desk)

        async def apply(letter: DeadLetter) -> str:
            readers = await retry.apply(letter)
            told = ", ".join(f"{reader}: {result}" for reader, result in readers.items())
            await desk.decide(letter, LetterState.RETRIED, told)
            return told

        return [await _one(letter, apply) for letter in choose(desk)]


async def _discard(choose: Choice, because: str) -> list[dict[str, Any]]:
    from events.deadletters import LetterState
    from infra.dead_letters.topic import read_letters
    from infra.places import find_places

    desk = await read_letters(find_places(Settings()).kafka)

    async def discard(letter: DeadLetter) -> str:
        await desk.decide(letter, LetterState.DISCARDED, because)
        return because

    return [await _one(letter, discard) for letter in choose(desk)]


async def _one(
    letter: DeadLetter, decide: Callable[[DeadLetter], Coroutine[Any, Any, str]]
) -> dict[str, Any]:
    """Decide about one letter; what goes wrong with it does not keep the others waiting."""
    from events.deadletters import LetterState
    from events.errors import StreamHubError

    result: dict[str, Any] = {"letter": letter.id, "state": letter.state, "error": None}
    if letter.state is not LetterState.OPEN:
        return {**result, "error": f"it was {letter.state} already"}
    try:
        told = await decide(letter)
    except StreamHubError as error:
        return {**result, "error": f"{error.code}: {error.message}"}
    return {**result, "state": letter.state, "result": told}


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


def _as_data(letter: DeadLetter) -> dict[str, Any]:
    source = letter.record.source
    return {
        "letter": letter.id,
        "state": letter.state,
        "reader": letter.reader,
        "topic": source.topic,
        "partition": source.partition,
        "offset": letter.record.offset,
        "key": letter.record.key,
        "type": letter.type,
        "time": clock.to_text(letter.time),
        "reason": letter.reason,
        "version": letter.version,
        "repeats": letter.repeats,
        "decidedAt": clock.to_text(letter.decided_at) if letter.decided_at else None,
        "decidedBecause": letter.decided_because,
    }


def _in_full(letter: DeadLetter) -> dict[str, Any]:
    record = letter.record
    return {
        **_as_data(letter),
        "headers": {
            name: value.decode("utf-8", "replace") for name, value in record.headers.items()
        },
        "value": record.value.decode("utf-8", "replace"),
        "traceback": letter.trace,
    }
