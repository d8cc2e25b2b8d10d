"""Profiles StreamHub's hot paths: ``python -m benchmarks.profiles``.

Each load has fresh servers. What py-spy saw is written to ``benchmarks/results/profiles``, a file
for each hot path and side; ``--before`` writes the side that the pages compare with. Then the flame
graphs are drawn, and the tables of ``docs/profiles.md`` made anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks import environments, report
from benchmarks.profiles import page, spy
from benchmarks.profiles.stacks import fold, prune
from benchmarks.servers import native_servers

_LOG = ("kafka", "postgres")
_ALL = (*_LOG, "redis", "clickhouse", "opensearch", "s3")


@dataclass(frozen=True, slots=True)
class HotPath:
    """Which load of ``loads.py`` shows it, and what there is one of for each piece of work."""

    load: str
    unit: str
    servers: tuple[str, ...] = _ALL


PATHS: Mapping[str, HotPath] = MappingProxyType(
    {
        "live-projection": HotPath("live-projection", "event", _LOG),
        "rebuild": HotPath("rebuild", "event"),
        "decide": HotPath("decide", "command"),
        "command-api": HotPath("whole", "command"),
        "projections": HotPath("whole", "command"),
        "watch-page": HotPath("whole", "request"),
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile the hot paths that are asked for, all by default; 1 without py-spy."""
    chosen = _arguments(arguments)
    if not chosen.no_recording:
        if spy.spy() is None:
            print(environments.absent("plots", "profiles"))
            return 1
        side = "before" if chosen.before else "after"
        for load in dict.fromkeys(PATHS[path].load for path in chosen.path):
            paths = [path for path in chosen.path if PATHS[path].load == load]
            _profile(paths, side, chosen.tree.resolve(), chosen.seconds)
    python = environments.python_of("plots")
    if python:
        command = [str(python), "-m", "benchmarks.plots"]
        subprocess.run(command, cwd=report.ROOT, check=True, stdout=subprocess.DEVNULL)
    page.rewrite(PATHS)
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profiles", description="Profile StreamHub's hot paths by py-spy."
    )
    parser.add_argument(
        "--path", nargs="+", choices=PATHS, default=list(PATHS), help="which, all by default"
    )
    parser.add_argument(
        "--tree",
        type=Path,
        default=report.ROOT,
        metavar="DIR",
        help="a checkout whose code is profiled instead of this one's",
    )
    parser.add_argument(
        "--before", action="store_true", help="keep what is seen as the side to compare with"
    )
    parser.add_argument(
        "--seconds", type=int, default=30, help="of each load that does not end by itself"
    )
    parser.add_argument(
        "--no-recording", action="store_true", help="only draw and write anew what is there"
    )
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.seconds <= spy.LONG_S:
        parser.error(f"--seconds must be 1 to {spy.LONG_S}")
    if not (chosen.tree / "benchmarks" / "live_projection").is_dir():
        parser.error(f"{chosen.tree} is no checkout with benchmarks")
    return chosen


def _profile(paths: Sequence[str], side: str, tree: Path, seconds: int) -> None:
    """Record hot paths of one load, on servers of its own."""
    one = PATHS[paths[0]]
    with native_servers(one.servers) as urls:
        for seen in spy.recordings(one.load, paths, urls, tree, seconds):
            written = page.write(_profile_of(seen, side, tree))
            print(written.relative_to(report.ROOT))


def _profile_of(seen: spy.Recording, side: str, tree: Path) -> page.Profile:
    folded = fold(seen.raw, str(tree), str(report.ROOT))
    work = folded.samples / max(folded.samples + folded.left_out, 1)
    return page.Profile(
        path=seen.path,
        side=side,
        commit=report.commit(tree),
        machine=report.machine(),
        samples=folded.samples,
        unit=PATHS[seen.path].unit,
        cpu_us=seen.cpu_s * work / max(seen.done, 1.0) * 1e6,
        stacks=prune(folded.stacks),
    )


if __name__ == "__main__":
    sys.exit(main())
