"""Drawing profiles as flame graphs, for ``benchmarks.plots``: nothing of StreamHub is imported.

The root is at the bottom, callers are below what they called, and what is beside each other stands
in the order of its name. A rectangle is as wide as its share of the samples.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle
from PIL import Image

_WIDTH_INCHES, _DOTS_AN_INCH = 10.0, 100
_ROW_INCHES, _REST_INCHES = 0.155, 0.75
_LETTER_INCHES = 0.058
#: Letters below which a rectangle gets none.
_LETTERS_MIN = 4
#: StreamHub's packages, from those that know most to those that know least.
_OURS: Mapping[str, str] = {
    "query_api": "#2b7bba",
    "commands": "#1f9e9a",
    "projections": "#5aa7dd",
    "processors": "#3f6fc4",
    "events": "#57bdb5",
    "schemas": "#8fd0c4",
    "infra": "#93bfe8",
    "benchmarks": "#c3d9ee",
}
_LIBRARY, _PYTHON, _PAPER = "#f4b66a", "#cfcfcf", "#ffffff"
#: Between two colours, for the edges of letters and of rectangles.
_STEPS = 7


@dataclass(frozen=True, slots=True)
class Block:
    """A function where it was called from: its row, where it begins, and its width, in shares."""

    frame: str
    row: int
    left: float
    width: float


def blocks(profile: Mapping[str, Any]) -> list[Block]:
    """Return the rectangles of a profile."""
    frames = profile["frames"]
    stacks = [
        (tuple(frames[int(number)] for number in stack.split()), samples)
        for stack, samples in profile["stacks"].items()
    ]
    return list(_row(sorted(stacks), 0, 0.0, profile["samples"]))


def _row(
    stacks: Sequence[tuple[tuple[str, ...], int]], row: int, left: float, total: int
) -> Iterator[Block]:
    """Yield the blocks of a row and of those above it, for stacks that are alike below."""
    groups: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for stack, samples in stacks:
        if len(stack) > row:
            groups.setdefault(stack[row], []).append((stack, samples))
    for frame, group in groups.items():
        width = sum(samples for _, samples in group) / total
        yield Block(frame, row, left, width)
        yield from _row(group, row + 1, left, total)
        left += width


def draw(profile: Mapping[str, Any], folder: Path) -> Path:
    """Draw a flame graph and return where it is."""
    shapes = blocks(profile)
    rows = max(block.row for block in shapes) + 1
    size = (_WIDTH_INCHES, rows * _ROW_INCHES + _REST_INCHES)
    figure, axes = plt.subplots(figsize=size)
    figure.subplots_adjust(0.005, 0.28 / size[1], 0.995, 1 - 0.27 / size[1])
    rectangles = [Rectangle((b.left, b.row), b.width, 0.94) for b in shapes]
    colours = [_colour(block.frame) for block in shapes]
    axes.add_collection(
        PatchCollection(rectangles, facecolors=colours, edgecolors="white", linewidths=0.4)
    )
    for block in shapes:
        letters = int(block.width * _WIDTH_INCHES / _LETTER_INCHES)
        place = (block.left + 0.002, block.row + 0.43)
        axes.text(*place, label(block.frame, letters), fontsize=6.5, va="center", clip_on=True)
    axes.set(xlim=(0, 1), ylim=(0, rows))
    axes.set_axis_off()
    axes.set_title(_title(profile), fontsize=9, loc="left", pad=4)
    _legend(figure)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"flame-{profile['path']}-{profile['side']}.png"
    _save(figure, path)
    plt.close(figure)
    return path


def _title(profile: Mapping[str, Any]) -> str:
    return (
        f"{profile['path']}, {profile['side']} ({profile['commit']}): "
        f"{profile['samples']:,} samples"
    )


def _legend(figure: Any) -> None:
    marks = [Patch(color=colour, label=name) for name, colour in _OURS.items()]
    marks += [Patch(color=_LIBRARY, label="libraries"), Patch(color=_PYTHON, label="Python, loops")]
    figure.legend(
        handles=marks,
        loc="lower center",
        ncols=len(marks),
        fontsize=7,
        frameon=False,
        handlelength=1.0,
        columnspacing=1.2,
        borderaxespad=0.1,
    )


def _save(figure: Any, path: Path) -> None:
    """Write a picture of few colours, a third of the bytes.

    Without metadata the same profile gives the same bytes.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=_DOTS_AN_INCH, metadata={"Software": None})
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def _palette() -> list[int]:
    """Return the colours, and what is between them and black letters or white edges."""
    colours = [to_rgb(colour) for colour in (*_OURS.values(), _LIBRARY, _PYTHON, _PAPER)]
    mixed = {
        tuple(round(255 * (part + (end - part) * step / _STEPS)) for part in colour)
        for colour in colours
        for end, steps in ((0.0, range(_STEPS + 1)), (1.0, range(2, _STEPS, 2)))
        for step in steps
    }
    return [part for colour in sorted(mixed) for part in colour]


def _colour(frame: str) -> str:
    package = frame.rpartition(" (")[2].partition("/")[0]
    return _PYTHON if package == "python" else _OURS.get(package, _LIBRARY)


def label(frame: str, letters: int) -> str:
    """Return as much of a frame as fits: its file as well, its name, or how that begins."""
    name, _, file = frame.partition(" (")
    name = name.replace(".<locals>", "")
    last = name.rpartition(".")[2]
    for text in (f"{name}  {file.rstrip(')')}", name, last):
        if len(text) <= letters:
            return text
    return f"{last[: letters - 1]}…" if letters >= _LETTERS_MIN else ""


def draw_all(results: Path, folder: Path) -> Iterator[Path]:
    """Draw every profile of a folder."""
    for file in sorted(results.glob("*.json")):
        yield draw(json.loads(file.read_text(encoding="utf-8")), folder)
