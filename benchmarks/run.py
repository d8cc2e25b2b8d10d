"""Measures StreamHub beside what it could have been: ``python -m benchmarks.run [TOPIC…]``.

Topics run one after another, each with fresh servers of its own in a temporary folder. Each writes
``benchmarks/results/<topic>.json``; the tables of ``docs/performance.md`` are made from these
files, and its plots too where matplotlib has its environment. ``--against`` compares ratios with
those of a release instead of measuring, or of the topics that are named after measuring them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import cast

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import compare, environments, report, scale, trend
from benchmarks.servers import native_servers

#: Where the ``SERVERS`` and ``run`` of each topic are.
TOPICS: Mapping[str, str] = {
    "live_projection": "benchmarks.live_projection.topic",
    "all_live": "benchmarks.all_live.topic",
    "rebuild": "benchmarks.rebuild.topic",
    "bulk_limits": "benchmarks.bulk_limits.topic",
    "rebuild_under_load": "benchmarks.rebuild.under_load",
    "growth": "benchmarks.growth.topic",
    "commands": "benchmarks.commands.topic",
    "commands_over_load": "benchmarks.commands.over_load",
    "query_api": "benchmarks.query_api.topic",
    "freshness": "benchmarks.freshness.topic",
    "takeover": "benchmarks.takeover.topic",
    "transcode": "benchmarks.transcode.topic",
    "moderation": "benchmarks.moderation.topic",
    "resources": "benchmarks.resources.topic",
    "log_verify": "benchmarks.log_verify.topic",
}

out = Console()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the topics, all by default; 1 when one of them failed, or got worse where that is asked.

    What a comparison is made with is read before anything is measured: it may be this folder.
    """
    chosen = _arguments(arguments)
    before = compare.results_of(chosen.against) if chosen.against else {}
    failed = []
    looks_only = bool(chosen.against or chosen.keep) and not chosen.topics
    for topic in chosen.topics or ([] if looks_only else TOPICS):
        try:
            _measure(topic, chosen.rounds, quick=chosen.quick)
        except Exception:  # noqa: BLE001 - one topic's trouble is no reason to lose the others
            failed.append(topic)
            traceback.print_exc()
    if chosen.keep:
        path = trend.keep(chosen.keep, report.read(TOPICS))
        out.print(f"{path.relative_to(report.ROOT)}")
    if not chosen.no_document and (chosen.keep or not looks_only):
        _document()
    if failed:
        out.print(f"failed: {', '.join(failed)}", style="red")
    good = _compare(before, chosen.topics) if chosen.against else True
    return 0 if good and not failed else 1


def _document() -> None:
    """Draw the plots, then write the page, which shows those that are there."""
    python = environments.python_of("plots")
    if python is None:
        out.print(environments.absent("plots", "plots"))
    else:
        command = [str(python), "-m", "benchmarks.plots"]
        subprocess.run(command, cwd=report.ROOT, check=True, stdout=subprocess.DEVNULL)
    documents = report.read(TOPICS)
    report.rewrite(documents)
    scale.rewrite(documents)
    report.put_between(
        report.DOCUMENT,
        report.TREND_BEGIN,
        report.TREND_END,
        trend.table(trend.history(), documents),
    )


def _compare(before: Mapping[str, report.Document], topics: Sequence[str]) -> bool:
    """Say what became of the ratios; return whether none is worse than chance makes it."""
    lines, good = compare.verdict(before, compare.results_of(str(report.RESULTS)), topics)
    for line in lines:
        out.print(
            line, style="red" if line.startswith("worse") else None, highlight=False, soft_wrap=True
        )
    return good


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=", ".join(TOPICS))
    parser.add_argument("--rounds", type=int, default=3, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="less work a round: rough figures")
    parser.add_argument("--no-document", action="store_true", help="leave the page as it is")
    parser.add_argument(
        "--against",
        metavar="PLACE",
        help="compare ratios with a folder of results, a git revision or last-release; "
        "without TOPIC nothing is measured",
    )
    parser.add_argument(
        "--keep",
        metavar="VERSION",
        help="write down what is in the results as that release's; without TOPIC nothing is "
        "measured",
    )
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.topics) - TOPICS.keys())
    if unknown:
        parser.error(f"unknown topics: {', '.join(unknown)}")
    if chosen.rounds < 1:
        parser.error("--rounds must be 1 at least")
    return chosen


def _measure(topic: str, rounds: int, *, quick: bool) -> None:
    out.print(f"[bold]{topic}[/bold]")
    module = cast("report.Topic", import_module(TOPICS[topic]))
    load = report.load_average()
    with _environment_kept(), native_servers(module.SERVERS) as urls:
        result = _run(module, urls, rounds, quick=quick)
    content = report.document(topic, result, rounds, quick=quick, load_at_start=load)
    path = report.write(content)
    out.print(_table(result), f"  {path.relative_to(report.ROOT)}")


def _run(
    module: report.Topic, urls: Mapping[str, str], rounds: int, *, quick: bool
) -> report.Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(module.run(urls, rounds, quick))


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Undo what a topic sets for the processes that it starts."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _table(result: report.Result) -> Table:
    table = Table("figure", "median", "lowest", "highest", "unit", "target")
    for figure in result.figures:
        spread = figure.spread
        cells = (report.number(v) for v in (spread.median, spread.minimum, spread.maximum))
        table.add_row(figure.name, *cells, figure.unit, figure.target)
    return table


if __name__ == "__main__":
    sys.exit(main())
