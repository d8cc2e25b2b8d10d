"""What proving the log takes: events a second, and memory and disk for each event more."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.live_projection.log import make_topics
from benchmarks.live_projection.views import Views
from benchmarks.log_verify.filling import DOMAIN, fill
from benchmarks.log_verify.rows import peak_bytes
from benchmarks.report import Figure, Result, Spread
from infra.log_tools.verify.whole import verify_log

SERVERS = ("kafka",)
#: Events in the log, and rows of the comparison alone, whose two sizes give the slope of memory.
EVENTS, ROWS = 100_000, (500_000, 2_000_000)
EVENTS_QUICK, ROWS_QUICK = 20_000, (200_000, 1_000_000)


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
    """Verify a log, and compare made-up streams and ids, each in a process of its own."""
    bootstrap = servers["kafka"]
    await make_topics(bootstrap)
    events, rows = (EVENTS_QUICK, ROWS_QUICK) if quick else (EVENTS, ROWS)
    await asyncio.to_thread(fill, bootstrap, Views(events))
    return await asyncio.to_thread(_measure, bootstrap, rounds, rows)


def _measure(bootstrap: str, rounds: int, rows: tuple[int, int]) -> Result:
    whole = [_in_a_process("topic", bootstrap) for _ in range(rounds)]
    few, many = ([_in_a_process("rows", str(n)) for _ in range(rounds)] for n in rows)
    more = [b["peak_bytes"] - a["peak_bytes"] for a, b in zip(few, many, strict=True)]
    return Result(
        about=(
            f"{whole[0]['events']:,} views, each with its outcome, 500 commands a transaction, "
            "read once and proved (`streamhub log verify` without the stores' positions). The "
            "slope of memory is that of comparing streams and ids, the one part that grows: "
            f"between {rows[0]:,} and {rows[1]:,} events, half as many streams."
        ),
        figures=(
            Figure(
                "Events proved, with outcomes",
                "1/s",
                Spread.of(run["events"] / run["seconds"] for run in whole),
            ),
            Figure(
                "Peak memory of that", "MiB", Spread.of(run["peak_bytes"] / 2**20 for run in whole)
            ),
            Figure(
                "Scratch files for each event",
                "bytes",
                Spread.of(run["disk_bytes"] / run["events"] for run in whole),
            ),
            Figure(
                "Memory for each event more",
                "bytes",
                Spread.of(each / (rows[1] - rows[0]) for each in more),
            ),
        ),
        raw={"log": whole, "rows": [few, many]},
        libraries=("confluent-kafka", "numpy", "pydantic"),
    )


def _in_a_process(module: str, argument: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.log_verify.{module}", argument],
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _verify_once(bootstrap: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        report = verify_log(bootstrap, [DOMAIN], Path(folder), lambda _passed, _whole: None)
    assert not report.findings.total, report.findings.kept[:3]
    return {
        "events": report.records("events"),
        "streams": report.streams,
        "seconds": report.seconds,
        "disk_bytes": report.disk_bytes,
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    print(json.dumps(_verify_once(sys.argv[1])))
