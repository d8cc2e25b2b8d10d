"""``streamhub projections``: the read models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from infra.cli.console import JsonOption, complain, out, print_json, run
from infra.cli.running import MaxRate, Processes
from infra.collector import relieve_collector
from infra.memory import keep_freed_memory
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.lag import Lag

app = typer.Typer(no_args_is_help=True)
Names = Annotated[list[str], typer.Argument(help="Projections by name, or `all`.")]


@app.callback()
def prepare() -> None:
    """Look at the read models, build them anew, compare them, switch between builds."""
    relieve_collector()
    keep_freed_memory()


@app.command("list")
def projections_list(json: JsonOption = False) -> None:
    """List the projections: version, store, events, tables.

    Example: streamhub projections list
    """
    from projections.registry import PROJECTIONS

    rows: list[dict[str, Any]] = [
        {
            "name": p.name,
            "version": p.version,
            "store": p.store,
            "topics": sorted(p.topics()),
            "events": [event.stored_name() for event in p.events],
            "tables": [table.name for table in p.tables],
        }
        for p in PROJECTIONS
    ]
    if json:
        print_json(rows)
        return
    table = Table("projection", "version", "store", "topics", "events")
    for row in rows:
        topics = ", ".join(row["topics"])
        table.add_row(
            row["name"], str(row["version"]), row["store"], topics, str(len(row["events"]))
        )
    out.print(table)


@app.command("status")
def projections_status(json: JsonOption = False) -> None:
    """Show how far each projection is behind the log, in records and in seconds.

    `keys that wait` are those of which a record could not be digested: see `deadletters list`.
    Exit code 1 where a projection claims to have applied what the log does not hold: it is not run.

    Example: streamhub projections status --json
    """
    from infra.everything import measure_lag

    lags, parked = run(measure_lag(Settings()))
    if json:
        print_json(
            [
                {
                    "projection": lag.projection,
                    "topic": lag.source.topic,
                    "partition": lag.source.partition,
                    "position": lag.position,
                    "end": lag.end,
                    "lagEvents": lag.events,
                    "lagSeconds": round(lag.seconds, 3),
                    "parkedKeys": parked.get((lag.projection, lag.source), 0),
                    "refused": lag.refused or None,
                }
                for lag in lags
            ]
        )
        _complain_of(lags)
        return
    table = Table(
        "projection", "partitions", "applied", "lag (records)", "lag (seconds)", "keys that wait"
    )
    for projection in dict.fromkeys(lag.projection for lag in lags):
        mine = [lag for lag in lags if lag.projection == projection]
        table.add_row(
            projection,
            str(len(mine)),
            str(sum(lag.position for lag in mine)),
            str(sum(lag.events for lag in mine)),
            f"{max((lag.seconds for lag in mine), default=0.0):.1f}",
            str(sum(parked.get((projection, lag.source), 0) for lag in mine)),
        )
    out.print(table)
    _complain_of(lags)


def _complain_of(lags: Sequence[Lag]) -> None:
    """Name what nobody runs because it is ahead of the log; exit code 1 where there is any."""
    from infra.ahead import refusal

    refused = {lag.projection: lag.refused for lag in lags if lag.refused}
    if refused:
        complain(str(refusal(refused)))
        raise typer.Exit(1)


@app.command("builds")
def projections_builds(json: JsonOption = False) -> None:
    """List the builds of every projection: the one that readers see, those kept or in the making.

    Example: streamhub projections builds
    """
    from infra.rebuild.operations import list_builds

    rows = run(list_builds(Settings()))
    if json:
        print_json(rows)
        return
    table = Table("projection", "build", "state", "made", "seen by readers since")
    for row in rows:
        switched = row["switchedAt"]
        table.add_row(
            row["projection"],
            row["build"],
            row["state"],
            f"{row['madeAt']:%Y-%m-%d %H:%M:%S}",
            f"{switched:%Y-%m-%d %H:%M:%S}" if switched else "",
        )
    out.print(table)


@app.command("rebuild")
def projections_rebuild(
    names: Names,
    max_rate: MaxRate = 0.0,
    processes: Processes = 1,
    fresh: Annotated[bool, typer.Option(help="Begin anew where a build was interrupted.")] = False,
    verify: Annotated[bool, typer.Option(help="Compare with the live build first.")] = True,
    switch: Annotated[bool, typer.Option(help="Let readers see the new build at the end.")] = True,
    json: JsonOption = False,
) -> None:
    """Build projections anew from the log, beside those that readers see, then switch to them.

    Can be interrupted at any moment and called again; it goes on from where it was. `all` stands
    for every projection; several are built in one pass over the log.

    Example: streamhub projections rebuild comments trending --max-rate 20000 --processes 2
    """
    from infra.rebuild.operations import RebuildOptions, rebuild

    options = RebuildOptions(max_rate, processes, fresh=fresh, verify=verify, switch=switch)
    _tell(run(rebuild(Settings(), names, options, None if json else out)), json)


@app.command("rollback")
def projections_rollback(
    names: Names,
    verify: Annotated[bool, typer.Option(help="Compare with the live build first.")] = False,
    json: JsonOption = False,
) -> None:
    """Let readers see the build again that they saw before, brought up to the log's end.

    Example: streamhub projections rollback comments
    """
    from infra.rebuild.operations import rollback

    _tell(run(rollback(Settings(), names, verify=verify, out=None if json else out)), json)


@app.command("verify")
def projections_verify(names: Names, json: JsonOption = False) -> None:
    """Compare live projections row by row with a fresh fold of the log; exit code 1 if they differ.

    Example: streamhub projections verify accounts --json
    """
    from infra.rebuild.operations import verify

    _tell(run(verify(Settings(), names, None if json else out)), json)


@app.command("cancel")
def projections_cancel(names: Names, json: JsonOption = False) -> None:
    """Remove builds that are in the making.

    Example: streamhub projections cancel comments
    """
    _remove(names, "building", json=json)


@app.command("prune")
def projections_prune(names: Names, json: JsonOption = False) -> None:
    """Remove builds that were kept for a return to them.

    Example: streamhub projections prune all
    """
    _remove(names, "kept", json=json)


def _remove(names: list[str], state: str, *, json: bool) -> None:
    from infra.rebuild.operations import remove

    removed = run(remove(Settings(), names, state))
    print_json({"removed": removed}) if json else out.print(f"removed {removed} builds")


@app.command("pause")
def projections_pause(names: Names, json: JsonOption = False) -> None:
    """Have nobody apply events to projections until they are resumed; readers see them as they are.

    Example: streamhub projections pause trending
    """
    from infra.rebuild.operations import pause

    paused = run(pause(Settings(), names))
    print_json({"paused": paused}) if json else out.print(f"paused: {', '.join(paused)}")


@app.command("resume")
def projections_resume(names: Names, json: JsonOption = False) -> None:
    """Go on with paused projections, from where they were.

    Example: streamhub projections resume trending
    """
    from infra.rebuild.operations import resume

    resumed = run(resume(Settings(), names))
    print_json({"resumed": resumed}) if json else out.print(f"resumed: {', '.join(resumed)}")


def _tell(results: list[dict[str, Any]], json: bool) -> None:
    """Show what became of each projection; exit code 1 where rows differ."""
    if json:
        print_json(results)
    else:
        table = Table("projection", "build", "offsets read", "rows compared", "differing", "state")
        for result in results:
            compared, differing = result["compared"], result["differing"]
            table.add_row(
                result["projection"],
                result["build"],
                str(result["offsets"]),
                "" if compared is None else str(compared),
                "" if differing is None else str(len(differing)),
                result["state"],
            )
        out.print(table)
    if any(result["differing"] for result in results):
        raise typer.Exit(1)
