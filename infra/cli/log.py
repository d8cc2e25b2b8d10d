"""``streamhub log``: reading, proving, exporting and replaying the log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from infra.cli.console import JsonOption, complain, out, print_json, run
from infra.cli.log_options import Which, takes_which
from infra.collector import relieve_collector
from infra.log_tools.export.formats import ExportFormat
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.lag import Lag
    from infra.log_tools.keys import Keys
    from infra.log_tools.verify.whole import LogReport


app = typer.Typer(no_args_is_help=True)

DecryptOption = Annotated[
    bool,
    typer.Option(
        "--decrypt", help="Personal data in plain text; without it such fields read erased:<id>."
    ),
]
FromStartOption = Annotated[bool, typer.Option("--from-start", help="From the beginning on.")]


class Speed(StrEnum):
    """How fast a replay goes, beside the times of the events."""

    REAL = "1"
    TENFOLD = "10"
    FULL = "full"


@app.callback()
def prepare() -> None:
    """Read, prove, export and replay the log."""
    relieve_collector()


def _kafka(settings: Settings) -> str:
    from infra.places import find_places

    return find_places(settings).kafka


@contextlib.contextmanager
def _keys(settings: Settings, *, decrypt: bool) -> Iterator[Keys]:
    from infra.log_tools.keys import NoKeys, stored_keys
    from infra.places import find_places

    if not decrypt:
        yield NoKeys()
        return
    with stored_keys(find_places(settings)) as keys:
        yield keys


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far a reading is, on the error output, where somebody looks at it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda passed, whole: bar.update(task, completed=passed, total=whole)


@app.command("tail")
@takes_which
def log_tail(
    which: Which,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on for ever.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help="So many; without a start the last ones (20)."),
    ] = None,
    from_start: FromStartOption = False,
    decrypt: DecryptOption = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show events: the last ones, or from a start on; ordered by time between partitions.

    Example: streamhub log tail --follow --type video.liked --since 2h
    """
    from infra.log_tools.showing import json_line, pretty
    from infra.log_tools.tail import Wanted, views

    settings = Settings()
    wanted = Wanted(
        which.selection(), limit, follow=follow, has_start=from_start or which.has_start
    )
    with _keys(settings, decrypt=decrypt) as keys, contextlib.suppress(KeyboardInterrupt):
        for view in views(_kafka(settings), wanted, keys):
            for line in [json_line(view)] if json else pretty(view):
                typer.echo(line)


@app.command("stats")
@takes_which
def log_stats(which: Which, json: JsonOption = False) -> None:
    """Count what stands in the log: records, bytes and times of each type in each partition.

    Example: streamhub log stats --domain videos --outcomes
    """
    from infra.log_tools.reader import LogReader
    from infra.log_tools.stats import measure

    selection = which.selection()
    with LogReader(_kafka(Settings())) as reader, _progress("reading") as heard:
        found = measure(reader, selection, heard)
    rows: list[dict[str, Any]] = [
        {
            "topic": each.source.topic,
            "partition": each.source.partition,
            "type": each.type,
            "records": each.records,
            "bytes": each.bytes,
            "first": _moment(each.first_ms),
            "last": _moment(each.last_ms),
        }
        for each in found
    ]
    if json:
        print_json(rows)
        return
    table = Table()
    for name in ("topic", "partition", "type", "records", "bytes", "first", "last"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


@app.command("verify")
def log_verify(
    domain: Annotated[
        list[str] | None, typer.Option("--domain", help="Only the log of these domains.")
    ] = None,
    stores: Annotated[
        bool, typer.Option(help="Compare the positions of all readers with the log as well.")
    ] = True,
    scratch: Annotated[
        Path | None,
        typer.Option(help="Folder for what memory does not hold: about 62 bytes an event."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read the whole log and prove W3 to W5, schemas and positions. Exit code 1 with findings.

    Example: streamhub log verify --json
    """
    from infra.log_tools.verify.positions import verify_positions
    from infra.log_tools.verify.whole import verify_log

    settings = Settings()
    domains = _domains(domain)
    folder = scratch or settings.data_dir / "scratch"
    with _progress("verifying") as heard:
        report = verify_log(_kafka(settings), domains, folder, heard)
    lags: list[Lag] = run(verify_positions(settings, report.findings)) if stores else []
    print_json(_as_json(report, lags)) if json else _print_report(report, lags)
    if report.findings.total:
        raise typer.Exit(1)


@app.command("adopt")
def log_adopt(json: JsonOption = False) -> None:
    """Bring what workers note for themselves back to a log that was restored from an older copy.

    Empties the state cache, releases emails and names of accounts that the log does not hold, and
    has no reader go on beyond its end. Stop all workers first. Read models are built anew by
    `projections rebuild --fresh`.

    Example: streamhub log adopt --json
    """
    from infra.restored_log import adopt_log

    done = run(adopt_log(Settings()))
    facts = {"claimsReleased": done.claims, "positionsMoved": done.positions}
    told = f"{done.claims} claims released, {done.positions} positions moved back"
    print_json(facts) if json else out.print(told)


def _domains(names: list[str] | None) -> list[Any]:
    from infra.log_tools.errors import BadSelection
    from schemas.catalogue import DOMAINS

    known = {domain.name: domain for domain in DOMAINS}
    unknown = sorted(set(names or ()) - known.keys())
    if unknown:
        raise BadSelection(f"'{unknown[0]}' is no domain; there are {', '.join(known)}")
    return [known[name] for name in names or known]


def _as_json(report: LogReport, lags: list[Lag]) -> dict[str, Any]:
    return {
        "ok": not report.findings.total,
        "findings": [
            {
                "rule": finding.rule,
                "topic": finding.source.topic,
                "partition": finding.source.partition,
                "offset": finding.offset,
                "message": finding.message,
            }
            for finding in report.findings.kept
        ],
        "findingsByRule": dict(report.findings.counted),
        "events": report.records("events"),
        "outcomes": report.records("outcomes"),
        "streams": report.streams,
        "commandsWithEvents": report.commands_with_events,
        "commandsWithGaps": report.blocks_with_gaps,
        "scratchBytes": report.disk_bytes,
        "seconds": round(report.seconds, 3),
        "partitions": [
            {
                "topic": each.source.topic,
                "partition": each.source.partition,
                "start": each.start,
                "end": each.end,
                "records": each.records,
                "digest": each.digest,
            }
            for each in report.partitions
        ],
        "lag": [
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
        ],
    }


def _print_report(report: LogReport, lags: list[Lag]) -> None:
    table = Table("topic", "partition", "offsets", "records", "digest")
    for each in report.partitions:
        offsets = f"{each.start} to {each.end}"
        place = (each.source.topic, str(each.source.partition))
        table.add_row(*place, offsets, str(each.records), each.digest)
    out.print(table)
    for lag in lags:
        if lag.events:
            typer.echo(
                f"{lag.projection} is {lag.events} records ({lag.seconds:.1f} s) behind in "
                f"{lag.source.topic}-{lag.source.partition}"
            )
    for finding in report.findings.kept:
        typer.echo(finding.line())
    typer.echo(
        f"{report.records('events')} events of {report.streams} streams, "
        f"{report.records('outcomes')} outcomes, {report.seconds:.1f} s"
    )
    total = report.findings.total
    if total:
        complain(f"the log breaks its promises {total} times")
    else:
        typer.echo("the log keeps its promises")


@app.command("export")
@takes_which
def log_export(
    which: Which,
    to: Annotated[Path, typer.Option(file_okay=False, help="Folder; made where it is missing.")],
    format_: Annotated[ExportFormat, typer.Option("--format", help="What the files are.")] = (
        ExportFormat.PARQUET
    ),
    from_bookmark: Annotated[
        str, typer.Option(help="Name of the bookmark in the folder to go on from, and to move.")
    ] = "export",
    decrypt: DecryptOption = False,
    json: JsonOption = False,
) -> None:
    """Write what is new since the bookmark: a table for each event, in a folder for each day.

    Example: streamhub log export --format parquet --to lake
    """
    from infra.log_tools.export.run import ExportJob, export
    from infra.log_tools.reader import LogReader

    settings = Settings()
    job = ExportJob(to, format_, which.selection(), from_bookmark, decrypts=decrypt)
    with (
        _keys(settings, decrypt=decrypt) as keys,
        LogReader(_kafka(settings)) as reader,
        _progress("exporting") as heard,
    ):
        report = export(reader, job, keys, heard)
    facts = {"rows": report.rows, "files": report.files, "removed": report.leftovers_removed}
    print_json(facts) if json else out.print(f"{report.rows} rows in {report.files} files")


@app.command("replay")
@takes_which
def log_replay(
    which: Which,
    to_topic: Annotated[str, typer.Option(help="A topic of yours, not of the log.")] = "",
    create: Annotated[bool, typer.Option("--create", help="Make the topic if missing.")] = False,
    command: Annotated[str, typer.Option(help="Run this; it reads JSON lines.")] = "",
    speed: Annotated[
        Speed, typer.Option(help="As fast as it happened, 10 times that, or as it goes.")
    ] = Speed.FULL,
    from_bookmark: Annotated[
        str, typer.Option(help="Go on where the bookmark of this name stands, and move it.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on for ever.")] = False,
    decrypt: DecryptOption = False,
    json: Annotated[
        bool, typer.Option("--json", help="The count as JSON, on the error output as well.")
    ] = False,
) -> None:
    """Give events to a topic of yours, or to a command; nothing in StreamHub acts on them.

    Example: streamhub log replay --command 'jq .type' --since 1h --speed 10
    """
    from infra.log_tools import delivery
    from infra.log_tools.bookmarks import bookmark_name, open_bookmark

    if bool(to_topic) == bool(command):
        raise typer.BadParameter("give one of --to-topic and --command")
    settings, selection = Settings(), which.selection()
    bookmark = None
    if from_bookmark:
        path = settings.data_dir / "bookmarks" / f"{bookmark_name(from_bookmark)}.json"
        bookmark = open_bookmark(path, selection.described())
    bootstrap = _kafka(settings)
    pace = delivery.Pace(None if speed is Speed.FULL else float(speed))
    receiver: delivery.Receiver
    with _keys(settings, decrypt=decrypt) as keys:
        if to_topic:
            partitions = settings.partitions if create else None
            receiver = delivery.TopicReceiver(bootstrap, to_topic, partitions)
        else:
            receiver = delivery.CommandReceiver(command, keys)
        given = delivery.deliver(
            bootstrap, selection, receiver, pace, follow=follow, bookmark=bookmark
        )
    # The output is the command's.
    count = orjson.dumps({"records": given}).decode() if json else f"{given} records replayed"
    typer.echo(count, err=True)
