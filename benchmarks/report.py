"""What a benchmark says: figures with their spread, the machine, the versions; files and table.

A topic returns a ``Result``; ``document`` adds where and on what it was taken, and ``rewrite``
puts the table of all documents between the markers of ``docs/performance.md``.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import orjson
import psutil

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "performance.md"
PLOTS = DOCUMENT.parent / "plots"
TREND_BEGIN, TREND_END = "<!-- trend -->", "<!-- /trend -->"
#: The unit of a ratio.
RATIO = "x"
BEGIN = "<!-- figures -->"
END = "<!-- /figures -->"

#: A topic's JSON file, as a dictionary.
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spread:
    """The lowest, the median and the highest of the rounds."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of values; raises ``ValueError`` when there are none."""
        ordered = sorted(values)
        if not ordered:
            raise ValueError("a spread needs a value at least")
        return cls(ordered[0], statistics.median(ordered), ordered[-1])


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. ``unit`` is "x" for a ratio; ``target`` is what it is held against.

    Of two releases' ratios the higher is the better one, unless ``lower_is_better``.
    """

    name: str
    unit: str
    spread: Spread
    target: str = ""
    lower_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a plot."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """What ``benchmarks.plots`` draws as ``docs/plots/<name>.png``; both axes are logarithmic."""

    name: str
    title: str
    x: str
    y: str
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class Result:
    """What a topic found; ``about`` says in a sentence what was done, ``raw`` holds every run.

    ``libraries`` are ours by name; ``beside`` are those of other environments with their versions.
    """

    about: str
    figures: Sequence[Figure]
    raw: Mapping[str, Any]
    libraries: Sequence[str] = field(default_factory=tuple)
    plots: Sequence[Plot] = field(default_factory=tuple)
    beside: Mapping[str, str] = field(default_factory=dict)


class Topic(Protocol):
    """What the module of a topic offers: the servers that must run for it, and its work."""

    SERVERS: tuple[str, ...]

    async def run(self, servers: Mapping[str, str], rounds: int, quick: bool) -> Result:
        """Measure; ``servers`` holds URLs by name, ``quick`` asks for less work a round."""


def machine() -> dict[str, Any]:
    """Return what figures depend on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit(tree: Path = ROOT) -> str:
    """Return what ``git describe`` says of a checkout, "" without git."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def load_average() -> float:
    """Return how many processes wanted a core over the last minute."""
    return round(os.getloadavg()[0], 2)


def document(
    topic: str, result: Result, rounds: int, *, quick: bool, load_at_start: float
) -> Document:
    """Return everything that the file of a topic holds."""
    return {
        "topic": topic,
        "command": f"python -m benchmarks.run {topic} --rounds {rounds}" + " --quick" * quick,
        "about": result.about,
        "figures": [asdict(figure) for figure in result.figures],
        "plots": [asdict(plot) for plot in result.plots],
        "raw": result.raw,
        "rounds": rounds,
        "quick": quick,
        "machine": machine(),
        "load_average_at_start": load_at_start,
        "commit": commit(),
        "versions": {**{name: version(name) for name in result.libraries}, **result.beside},
    }


def write(content: Document) -> Path:
    """Write the file of a topic and return its path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{content['topic']}.json"
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def read(topics: Iterable[str]) -> list[Document]:
    """Return the documents of those topics that have one."""
    paths = [RESULTS / f"{topic}.json" for topic in topics]
    return [orjson.loads(path.read_bytes()) for path in paths if path.exists()]


def rewrite(documents: Sequence[Document]) -> None:
    """Put the figures of these documents between the markers of the page.

    Raises:
        ValueError: the page has lost its markers.
    """
    put_between(DOCUMENT, BEGIN, END, "\n\n".join(_section(content) for content in documents))


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between two lines of a page.

    Raises:
        ValueError: the page has lost them.
    """
    before, found_begin, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"{page} needs the lines {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _section(content: Document) -> str:
    lines = [f"### {content['topic'].replace('_', ' ').capitalize()}", "", content["about"], ""]
    lines += ["| Figure | Median | Lowest to highest | Target |", "|---|---|---|---|"]
    lines += [_row(figure) for figure in content["figures"]]
    for plot in content.get("plots", ()):
        if (PLOTS / f"{plot['name']}.png").exists():
            lines += ["", f"![{plot['title']}](plots/{plot['name']}.png)"]
    lines += ["", f"Made by `{content['command']}`. {_circumstances(content)}"]
    return "\n".join(lines)


def _row(figure: Mapping[str, Any]) -> str:
    spread, unit = figure["spread"], figure["unit"]
    low, high = number(spread["minimum"]), number(spread["maximum"])
    median = f"{number(spread['median'])} {unit}"
    return f"| {figure['name']} | {median} | {low} to {high} | {figure['target'] or ''} |"


def number(value: float) -> str:
    """Return a figure with three significant digits, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _circumstances(content: Document) -> str:
    host = content["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    sentences = [
        f"{host['processor']}, {host['cores']} cores, {host['memory_gib']} GiB, "
        f"Python {host['python']}{', ' + versions if versions else ''}; "
        f"load average {content['load_average_at_start']} at the start; "
        f"{content['rounds']} rounds; commit {content['commit'] or 'unknown'}."
    ]
    if content["quick"]:
        sentences.append("A quick run: less work a round, so the figures are rough.")
    return " ".join(sentences)
