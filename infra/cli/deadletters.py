"""``streamhub deadletters``: records that a reader could not digest, and what becomes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from events import clock
from infra.cli.console import JsonOption, complain, out, print_json, run
from infra.cli.option_groups import takes
from infra.settings import Settings

if TYPE_CHECKING:
    from events.deadletters import DeadLetter
    from infra.dead_letters.deciding import Desk, Result
    from infra.dead_letters.topic import Filters, LetterTopic

app = typer.Typer(no_args_is_help=True)

_SHOWN_CHARACTERS = 80

Choice = Callable[["LetterTopic"], Sequence["DeadLetter"]]

Ids = Annotated[list[str] | None, typer.Argument(help="Letters, such as 0:17.")]


class State(StrEnum):
    """Which letters are listed."""

    OPEN = "open"
    RETRIED = "retried"
    DISCARDED = "discarded"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """Options that say which letters are meant; they combine."""

    reader: Annotated[
        str, typer.Option(help="A projection, a reaction, commands, projections-STORE.")
    ] = ""
    topic: Annotated[str, typer.Option(help="The topic that the record stands in.")] = ""
    type: Annotated[str, typer.Option(help="Stored name, with or without version.")] = ""
    key: Annotated[str, typer.Option(help="The record's key.")] = ""
    since: Annotated[str, typer.Option(help="Buried since: RFC 3339, or 30m, 2h, 7d ago.")] = ""
    error: Annotated[str, typer.Option(help="A part of the reason.")] = ""

    def filters(self, state: State = State.OPEN) -> Filters:
        """Return what letters are held against."""
        from events.errors import Invalid
        from infra.dead_letters.showing import filters_of

        try:
            return filters_of({**asdict(self), "state": state})
        except Invalid as error:
            raise typer.BadParameter(error.details[0].message) from None

    def choice(self, letters: Sequence[str] | None) -> Choice:
        """Return how letters are chosen: by id, or by filters of which there must be one."""
        filters = self.filters()
        if letters:
            return lambda topic: topic.named(letters)
        if not filters.narrows:
            raise typer.BadParameter("name letters, or filter them")
        return lambda topic: list(topic.chosen(filters))


takes_meant = takes(Meant, "meant")


@app.command("list")
@takes_meant
def deadletters_list(
    meant: Meant,
    state: Annotated[State, typer.Option(help="What became of them.")] = State.OPEN,
    limit: Annotated[int, typer.Option(min=1, help="Show so many at most.")] = 100,
    json: JsonOption = False,
) -> None:
    """List dead letters, open ones unless told otherwise; filters combine.

    Example: streamhub deadletters list --reader watch_page --since 2h
    """
    from infra.dead_letters.showing import as_data

    filters = meant.filters(state)
    letters = run(_read(lambda topic: list(topic.chosen(filters))))
    if json:
        print_json([as_data(letter) for letter in letters[:limit]])
        return
    table = Table("letter", "state", "reader", "record", "type", "buried", "key waits", "reason")
    for letter in letters[:limit]:
        source = letter.record.source
        table.add_row(
            letter.id,
            letter.state,
            letter.reader,
            f"{source.topic}/{source.partition}/{letter.record.offset}",
            letter.type,
            clock.to_text(letter.time),
            ", ".join(sorted(letter.parked)),
            letter.reason[:_SHOWN_CHARACTERS],
        )
    out.print(table)
    out.print(f"{min(limit, len(letters))} of {len(letters)}; {_waiting(letters)} keys wait")


@app.command("show")
def deadletters_show(
    letter: Annotated[str, typer.Argument(help="A letter, such as 0:17.")],
    json: JsonOption = False,
) -> None:
    """Show a dead letter: the record as it is in the log, the error, the traceback.

    Example: streamhub deadletters show 0:17
    """
    from infra.dead_letters.showing import in_full

    [found] = run(_read(lambda topic: topic.named([letter])))
    if json:
        print_json(in_full(found))
        return
    for name, value in in_full(found).items():
        text = str(value)
        out.print(f"[bold]{name}[/bold]", highlight=False)
        out.print(text, highlight=False, markup=False)


@app.command("retry")
@takes_meant
def deadletters_retry(meant: Meant, letters: Ids = None, json: JsonOption = False) -> None:
    """Apply dead letters again, each once, oldest first; exit code 1 if one fails again.

    What waits behind them, because its key was parked, is applied as well, in order.

    Example: streamhub deadletters retry --reader watch_page
    """
    choose = meant.choice(letters)
    _report(run(_decide(lambda desk, topic: desk.retry(choose(topic)))), json=json)


@app.command("discard")
@takes_meant
def deadletters_discard(
    meant: Meant,
    because: Annotated[str, typer.Option("--because", help="Why; it is kept.")],
    letters: Ids = None,
    json: JsonOption = False,
) -> None:
    """Decide that dead letters are never applied; they stay in the topic.

    What waits behind them goes on waiting, until it is retried or discarded itself.

    Example: streamhub deadletters discard 0:17 --because "a test of ours"
    """
    choose = meant.choice(letters)
    _report(run(_decide(lambda desk, topic: desk.discard(choose(topic), because))), json=json)


def _waiting(letters: Sequence[DeadLetter]) -> int:
    """Return how many keys wait because of these letters."""
    from infra.dead_letters.topic import WaitingKey

    return len({key for letter in letters for key in WaitingKey.all_of(letter)})


async def _read(choose: Choice) -> Sequence[DeadLetter]:
    from infra.dead_letters.topic import read_letters
    from infra.places import find_places

    return choose(await read_letters(find_places(Settings()).kafka))


async def _decide(
    decide: Callable[[Desk, LetterTopic], Awaitable[Sequence[Result]]],
) -> Sequence[Result]:
    from infra.bootstrap.core import open_core
    from infra.dead_letters.deciding import Desk
    from infra.dead_letters.topic import open_letters

    async with open_core(Settings()) as core, open_letters(core.places.kafka) as topic:
        return await decide(Desk(core, topic), topic)


def _report(results: Sequence[Result], *, json: bool) -> None:
    failed = [result for result in results if result.error]
    if json:
        print_json([result.as_data() for result in results])
    else:
        for result in results:
            if not result.error:
                told = f": {result.told}" if result.told else ""
                out.print(f"{result.what} {result.state}{told}", markup=False, highlight=False)
        out.print(f"{len(results) - len(failed)} of {len(results)}")
    for result in failed:
        complain(f"{result.what}: {result.error}")
    if failed:
        raise typer.Exit(1)
