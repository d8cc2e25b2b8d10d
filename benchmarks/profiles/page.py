"""The files of profiles, and the pictures and tables of ``docs/profiles.md`` that show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks import report
from benchmarks.profiles.stacks import Stack, own_samples, package

FOLDER = report.RESULTS / "profiles"
DOCUMENT = report.ROOT / "docs" / "profiles.md"
SIDES = ("before", "after")
#: Packages that are named in a table, and functions.
_PACKAGES, _FUNCTIONS = 6, 8


@dataclass(frozen=True, slots=True)
class Profile:
    """Where a process spent its time on a hot path.

    ``samples`` are all; stacks that were too rare to be kept and had no caller are missing in
    ``stacks``. ``cpu_us`` is the processor time that the process took for a ``unit`` of work.
    """

    path: str
    side: str
    commit: str
    machine: Mapping[str, Any]
    samples: int
    unit: str
    cpu_us: float
    stacks: Mapping[Stack, int]


def write(profile: Profile, folder: Path = FOLDER) -> Path:
    """Write the file of a profile; stacks are numbers of frames, root first."""
    frames = list(dict.fromkeys(frame for stack in profile.stacks for frame in stack))
    numbers = {frame: str(number) for number, frame in enumerate(frames)}
    content = {
        **asdict(profile),
        "cpu_us": round(profile.cpu_us, 2),
        "frames": frames,
        "stacks": {
            " ".join(numbers[frame] for frame in stack): samples
            for stack, samples in profile.stacks.items()
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{profile.path}.{profile.side}.json"
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def read(path: str, side: str, folder: Path = FOLDER) -> Profile | None:
    """Return a profile, None where there is none."""
    file = folder / f"{path}.{side}.json"
    if not file.exists():
        return None
    content = orjson.loads(file.read_bytes())
    frames = content.pop("frames")
    content["stacks"] = {
        tuple(frames[int(number)] for number in stack.split()): samples
        for stack, samples in content["stacks"].items()
    }
    return Profile(**content)


def rewrite(paths: Iterable[str], document: Path = DOCUMENT) -> None:
    """Put pictures and tables of the profiles that are there between the markers of the page.

    Raises:
        ValueError: the page has lost its markers.
    """
    for path in paths:
        sides = [found for side in SIDES if (found := read(path, side))]
        if sides:
            marker = f"profile {path}"
            report.put_between(document, f"<!-- {marker} -->", f"<!-- /{marker} -->", _part(sides))


def _part(sides: Sequence[Profile]) -> str:
    pictures = [
        f"![{one.path}, {one.side}](plots/flame-{one.path}-{one.side}.png)" for one in sides
    ]
    return "\n\n".join((*pictures, table(sides), _circumstances(sides)))


def table(sides: Sequence[Profile]) -> str:
    """Return the shares of packages, then of functions, by what ran itself in a sample."""
    own = [own_samples(one.stacks) for one in sides]
    by_package = [_by_package(samples) for samples in own]
    lines = [f"| Share of the samples | {' | '.join(one.side for one in sides)} |"]
    lines += ["|---" * (len(sides) + 1) + "|"]
    for name in _most(by_package, sides, _PACKAGES):
        lines.append(_row(f"package {name}", name, by_package, sides))
    for frame in _most(own, sides, _FUNCTIONS):
        name, _, file = frame.partition(" (")
        lines.append(_row(f"`{name}`, {file.rstrip(')')}", frame, own, sides))
    times = " | ".join(f"{report.number(one.cpu_us)} µs" for one in sides)
    return "\n".join([*lines, f"| Processor time, each {sides[0].unit} | {times} |"])


def _by_package(own: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for frame, samples in own.items():
        found[package(frame)] += samples
    return found


def _most(counts: Sequence[Counter[str]], sides: Sequence[Profile], limit: int) -> list[str]:
    """Return the names with the largest share on any side."""
    shares: Counter[str] = Counter()
    for one, count in zip(sides, counts, strict=True):
        for name, samples in count.items():
            shares[name] = max(shares[name], samples * 1_000_000 // one.samples)
    return sorted(shares, key=lambda name: (-shares[name], name))[:limit]


def _row(
    title: str, name: str, counts: Sequence[Mapping[str, int]], sides: Sequence[Profile]
) -> str:
    shares = (
        f"{count.get(name, 0) / one.samples:.1%}" for one, count in zip(sides, counts, strict=True)
    )
    return f"| {title} | {' | '.join(shares)} |"


def _circumstances(sides: Sequence[Profile]) -> str:
    said = "; ".join(f"{one.side}: {one.samples:,} samples at {one.commit}" for one in sides)
    hosts = dict.fromkeys(
        f"{one.machine['processor']}, {one.machine['cores']} cores, Python {one.machine['python']}"
        for one in sides
    )
    return f"{said}. {'; '.join(hosts)}."
