"""What the readings come to: figures, ratios and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from benchmarks.growth.build import Reading
from benchmarks.growth.setups import Plan, Setup
from benchmarks.live_projection.views import View
from benchmarks.report import RATIO, Figure, Plot, Result, Series, Spread

Readings = Mapping[Setup, Sequence[Reading]]
#: What a build is judged by; the setup says of how many events it was.
Measure = Callable[[Setup, Reading], float]

_MIB = 2**20
#: How a number of each respect is called.
_ONE = {"processes": "process", "partitions": "partition"}


def _cost_us(setup: Setup, reading: Reading) -> float:
    """Starting helpers is no cost of an event: it is left out, and told by itself."""
    return (reading.cpu_s - reading.start_cpu_s) / setup.events * 1e6


def _postgres_cost_us(setup: Setup, reading: Reading) -> float:
    return reading.postgres_cpu_s / setup.events * 1e6


def _rate(setup: Setup, reading: Reading) -> float:
    return setup.events / reading.wall_s


def _peak_mib(_setup: Setup, reading: Reading) -> float:
    return reading.peak_bytes / _MIB


def result(plan: Plan, readings: Readings, made: Sequence[View]) -> Result:
    """Return what was found."""
    return Result(
        about=_about(plan, len(made)),
        figures=(*_ratios(plan, readings), *_points(plan, readings), *_starts(plan, readings)),
        raw={
            "builds": [
                {"setup": asdict(setup), "rounds": [asdict(each) for each in found]}
                for setup, found in readings.items()
            ]
        },
        libraries=("aiokafka", "asyncpg", "orjson", "pydantic", "uvloop"),
        plots=(*_cost_plots(plan, readings), *_other_plots(plan, readings, _view_bytes(made))),
    )


def _about(plan: Plan, views_made: int) -> str:
    base = plan.base
    return (
        "The watch page (PostgreSQL) built anew from offset 0 by the product's own rebuild, each "
        f"time in a process of its own. Base: {base.events:,} views of {base.videos:,} videos in "
        f"{base.partitions} partitions, one process; one of these differs at a time. "
        f"{views_made:,} views were made and stand in the logs again and again, for other videos. "
        "Processor time is that of StreamHub's processes, of all together; the start of further "
        "ones is in the rate, and is left out of the cost of an event. Peak memory is that of the "
        "largest process. Kafka, PostgreSQL and StreamHub share the cores of the machine: what "
        "more processes bring ends where these are used up."
    )


def _ratios(plan: Plan, readings: Readings) -> list[Figure]:
    costs = (("processor time an event", _cost_us), ("PostgreSQL's", _postgres_cost_us))
    figures = [
        Figure(
            f"{_ends(plan, respect)}: {name}",
            RATIO,
            _largest_to_smallest(plan.along(respect), readings, measure),
            lower_is_better=True,
        )
        for respect in plan.sizes
        for name, measure in costs
    ]
    memory = _largest_to_smallest(plan.along("events"), readings, _peak_mib)
    name = f"{_ends(plan, 'events')}: peak memory"
    return [*figures, Figure(name, RATIO, memory, lower_is_better=True)]


def _largest_to_smallest(setups: Sequence[Setup], readings: Readings, measure: Measure) -> Spread:
    smallest, largest = setups[0], setups[-1]
    pairs = zip(readings[largest], readings[smallest], strict=True)
    return Spread.of(measure(largest, a) / measure(smallest, b) for a, b in pairs)


def _ends(plan: Plan, respect: str) -> str:
    sizes = plan.sizes[respect]
    return f"{sizes[-1]:,} / {_counted(respect, sizes[0])}"


def _counted(respect: str, size: int) -> str:
    return f"{size:,} {_ONE[respect] if size == 1 else respect}"


def _points(plan: Plan, readings: Readings) -> list[Figure]:
    """Return the figures of each setup; the base, which is a point of each respect, comes first."""
    figures = _of(plan.base, readings, "Base")
    for respect in plan.sizes:
        for setup in plan.along(respect):
            if setup != plan.base:
                figures += _of(setup, readings, _counted(respect, getattr(setup, respect)))
    return figures


def _of(setup: Setup, readings: Readings, name: str) -> list[Figure]:
    measures = (
        ("processor time an event", "µs", _cost_us),
        ("PostgreSQL's", "µs", _postgres_cost_us),
        ("rate", "events/s", _rate),
        ("peak memory", "MiB", _peak_mib),
    )
    return [
        Figure(f"{name}: {what}", unit, _spread(setup, readings, measure))
        for what, unit, measure in measures
    ]


def _spread(setup: Setup, readings: Readings, measure: Measure) -> Spread:
    return Spread.of(measure(setup, reading) for reading in readings[setup])


def _starts(plan: Plan, readings: Readings) -> list[Figure]:
    """Return what it takes to start one more process."""
    setup = plan.along("processes")[-1]
    taken = (reading.start_cpu_s / (setup.processes - 1) for reading in readings[setup])
    return [Figure("Start of a further process, processor time", "s", Spread.of(taken))]


def _view_bytes(made: Sequence[View]) -> float:
    """Return what a view's body and headers come to, uncompressed."""
    headers = (name.encode() + value for view in made for name, value in view.headers)
    return (sum(len(view.body) for view in made) + sum(map(len, headers))) / len(made)


def _line(plan: Plan, readings: Readings, name: str, respect: str, measure: Measure) -> Series:
    setups = plan.along(respect)
    points = [(getattr(s, respect), _spread(s, readings, measure).median) for s in setups]
    return Series(name, points)


def _cost_plots(plan: Plan, readings: Readings) -> list[Plot]:
    return [
        Plot(
            f"growth-{respect}",
            f"Processor time an event, by {respect}",
            respect,
            "µs",
            (
                _line(plan, readings, "StreamHub", respect, _cost_us),
                _line(plan, readings, "PostgreSQL", respect, _postgres_cost_us),
            ),
        )
        for respect in plan.sizes
    ]


def _other_plots(plan: Plan, readings: Readings, view_bytes: float) -> list[Plot]:
    """Return the rate and the memory, which means little without the size of the backlog."""
    rate = _line(plan, readings, "rate", "processes", _rate)
    memory = _line(plan, readings, "peak memory", "events", _peak_mib)
    backlog = Series("backlog", [(n, n * view_bytes / _MIB) for n in plan.sizes["events"]])
    return [
        Plot("growth-rate", "Rate of a rebuild, by processes", "processes", "events/s", (rate,)),
        Plot(
            "growth-memory",
            "Peak memory of a rebuild, by backlog",
            "events",
            "MiB",
            (memory, backlog),
        ),
    ]
