"""``streamhub projections``: the read models."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Table

from infra.cli.console import JsonOption, out, print_json, run
from infra.settings import Settings

app = typer.Typer(no_args_is_help=True)


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

    Example: streamhub projections status --json
    """
    from infra.everything import measure_lag

    lags = run(measure_lag(Settings()))
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
                }
                for lag in lags
            ]
        )
        return
    table = Table("projection", "partitions", "applied", "lag (records)", "lag (seconds)")
    for projection in dict.fromkeys(lag.projection for lag in lags):
        mine = [lag for lag in lags if lag.projection == projection]
        table.add_row(
            projection,
            str(len(mine)),
            str(sum(lag.position for lag in mine)),
            str(sum(lag.events for lag in mine)),
            f"{max((lag.seconds for lag in mine), default=0.0):.1f}",
        )
    out.print(table)
