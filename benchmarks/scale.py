"""The arithmetic of ``docs/scale.md``: what a thousand million events a day would take.

Every line has its formula and the measured figure that it stands on, and is reckoned anew whenever
figures are. A line whose figure nobody measured says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report import ROOT, Document, number, put_between

PAGE = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- arithmetic -->", "<!-- /arithmetic -->"

EVENTS_A_DAY = 1e9
_DAY_S = 86_400
#: What is assumed of people, none of it measured; the page says so.
PEAK = 3.0
LOAD_MAX = 0.6
REPLICATION = 3
LIKES_SHARE, COMMENTS_SHARE, FACTS_SHARE = 0.05, 0.02, 0.98
QUERIES_AN_EVENT = 3.0
VIDEOS = 1e7
_GB = 1e9
_MS = 1e-3


class _Missing(LookupError):
    """A figure was not measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A median with where it stands."""

    value: float
    source: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table."""

    what: str
    formula: str
    result: str
    source: str = ""

    def __str__(self) -> str:
        return f"| {self.what} | `{self.formula}` | {self.result} | {self.source} |"


class Figures:
    """Medians by topic and name."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._figures: dict[tuple[str, str], Mapping[str, Any]] = {
            (content["topic"], figure["name"]): figure
            for content in documents
            for figure in content["figures"]
        }

    def __call__(self, topic: str, name: str) -> Measured:
        """Return a median.

        Raises:
            _Missing: there is no such figure.
        """
        figure = self._figures.get((topic, name))
        if figure is None:
            raise _Missing(f"{topic}: {name}")
        value = figure["spread"]["median"]
        shown = f"{number(value)} {figure['unit']}".strip()
        return Measured(value, f"{topic}: {name}, {shown}")


def lines(figures: Figures) -> list[Line]:
    """Return the whole table."""
    mean = EVENTS_A_DAY / _DAY_S
    peak = mean * PEAK
    found = [
        Line("Events a second, mean", "events a day / 86,400 s", number(mean)),
        Line("Events a second, peak", "mean * peak", number(peak)),
    ]
    for part in (_processes, _log, _stores, _again):
        found += part(figures, peak)
    return found


def _line(what: str, formula: str, unit: str, reckon: Any, *wanted: Measured) -> Line:
    value = reckon(*(each.value for each in wanted))
    sources = "; ".join(each.source for each in wanted)
    return Line(what, formula, f"{number(value)} {unit}", sources)


def _attempt(what: str, formula: str, unit: str, reckon: Any, *wanted: Any) -> Line:
    """Return a line, or one that says which figure it lacks."""
    try:
        return _line(what, formula, unit, reckon, *(each() for each in wanted))
    except _Missing as missing:
        return Line(what, formula, "-", f"not measured: {missing}")


def _processes(figures: Figures, peak: float) -> list[Line]:
    return [
        _attempt(
            "API for commands",
            "peak * processor time / load",
            "cores",
            lambda ms: peak * ms * _MS / LOAD_MAX,
            lambda: figures("commands", "Processor time a command, api"),
        ),
        _attempt(
            "API for queries",
            "peak * queries an event / requests a core-second / load",
            "cores",
            lambda rate: peak * QUERIES_AN_EVENT / rate / LOAD_MAX,
            lambda: figures("query_api", "Watch page: StreamHub, a core-second"),
        ),
        _attempt(
            "Command workers",
            "peak / commands a second of one / load",
            "processes",
            lambda rate: math.ceil(workers(peak, rate)),
            lambda: figures("commands", "Decided from a backlog"),
        ),
        _attempt(
            "Projection workers, all read models",
            "peak / events a second of one / load",
            "processes",
            lambda rate: math.ceil(workers(peak, rate)),
            lambda: figures("rebuild", "all eleven in one pass"),
        ),
        _attempt(
            "Partitions of `engagement`",
            "twice the greater of the two, up to a power of two",
            "partitions",
            lambda commands, all_models: partitions(peak, commands, all_models),
            lambda: figures("commands", "Decided from a backlog"),
            lambda: figures("rebuild", "all eleven in one pass"),
        ),
    ]


def workers(peak: float, rate: float) -> float:
    """Return how many processes of a rate carry the peak and have room left."""
    return peak / rate / LOAD_MAX


def partitions(peak: float, *rates: float) -> float:
    """Return a count of partitions that leaves every worker two, hence room to grow."""
    most = max(workers(peak, rate) for rate in rates)
    return float(2 ** math.ceil(math.log2(2 * most)))


def _log(figures: Figures, peak: float) -> list[Line]:
    size = ("resources", "Event among 500")
    return [
        _attempt(
            "Events written at the peak",
            "peak * bytes an event",
            "MB/s",
            lambda size: peak * size / 1e6,
            lambda: figures(*size),
        ),
        _attempt(
            "Events kept, a day",
            "events a day * bytes an event * copies",
            "GB",
            lambda size: EVENTS_A_DAY * size * REPLICATION / _GB,
            lambda: figures(*size),
        ),
        _attempt(
            "Events kept, a year",
            "that * 365",
            "TB",
            lambda size: EVENTS_A_DAY * size * REPLICATION * 365 / 1e12,
            lambda: figures(*size),
        ),
    ]


def _stores(figures: Figures, _peak: float) -> list[Line]:
    def store(name: str) -> Any:
        return lambda: figures("query_api", f"In a store: {name}")

    return [
        _attempt(
            "ClickHouse, a day",
            "events a day * share of facts * bytes a fact",
            "GB",
            lambda size: EVENTS_A_DAY * FACTS_SHARE * size / _GB,
            store("clickhouse, a fact"),
        ),
        _attempt(
            "Postgres, likes of a day",
            "events a day * share of likes * bytes a like",
            "GB",
            lambda size: EVENTS_A_DAY * LIKES_SHARE * size / _GB,
            store("postgres, a like"),
        ),
        _attempt(
            "Postgres, comments of a day",
            "events a day * share of comments * bytes a comment",
            "GB",
            lambda size: EVENTS_A_DAY * COMMENTS_SHARE * size / _GB,
            store("postgres, a comment"),
        ),
        *(
            _attempt(
                f"{title}, all videos",
                "videos * bytes a video",
                "GB",
                lambda size: VIDEOS * size / _GB,
                store(f"{name}, a video"),
            )
            for title, name in (
                ("Postgres", "postgres"),
                ("OpenSearch", "opensearch"),
                ("Redis, memory", "redis"),
            )
        ),
    ]


def _again(figures: Figures, peak: float) -> list[Line]:
    return [
        _attempt(
            "All read models anew from a day's log",
            "events a day / (events a second of one * partitions)",
            "minutes",
            lambda rate, commands: EVENTS_A_DAY / (rate * partitions(peak, commands, rate)) / 60,
            lambda: figures("rebuild", "all eleven in one pass"),
            lambda: figures("commands", "Decided from a backlog"),
        ),
        _attempt(
            "A command worker takes over after a crash",
            "measured, however long the log",
            "s",
            lambda seconds: seconds,
            lambda: figures("takeover", "After a crash, 1,000,000 events in the log"),
        ),
    ]


def rewrite(documents: Sequence[Document]) -> None:
    """Reckon the table of the page anew."""
    head = ["| What | Formula | Result | Stands on |", "|---|---|---|---|"]
    table = "\n".join([*head, *map(str, lines(Figures(documents)))])
    put_between(PAGE, BEGIN, END, table)
