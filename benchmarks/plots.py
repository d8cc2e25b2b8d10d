"""Draws the plots of the results: ``python -m benchmarks.plots`` in the environment ``plots``.

Reads every ``benchmarks/results/*.json`` and writes ``docs/plots/<name>.png``, and the profiles in
``benchmarks/results/profiles`` as flame graphs. Nothing of StreamHub is imported: matplotlib has an
environment of its own, and is no dependency of ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.profiles.drawing import draw_all

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLOTS = ROOT / "docs" / "plots"
#: Small files that can still be read on a page.
_SIZE_INCHES, _DOTS_AN_INCH = (6.4, 3.6), 90
_MARKERS = "osv^Dx+*"


def draw(plot: Mapping[str, Any], folder: Path) -> Path:
    """Draw a plot and return where it is."""
    figure, axes = plt.subplots(figsize=_SIZE_INCHES, layout="constrained")
    for series, marker in zip(plot["series"], _MARKERS, strict=False):
        x, y = zip(*series["points"], strict=True)
        axes.plot(x, y, marker=marker, markersize=4, linewidth=1.2, label=series["name"])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    places = sorted({point[0] for series in plot["series"] for point in series["points"]})
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axes.set(title=plot["title"], xlabel=plot["x"], ylabel=plot["y"])
    axes.title.set_fontsize("medium")
    axes.grid(visible=True, which="major", linewidth=0.4)
    axes.legend(fontsize="small")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plot['name']}.png"
    # Without metadata the same figures give the same bytes.
    figure.savefig(path, dpi=_DOTS_AN_INCH, metadata={"Software": None})
    plt.close(figure)
    return path


def main() -> None:
    mpl.use("agg")
    for result in sorted(RESULTS.glob("*.json")):
        for plot in json.loads(result.read_text(encoding="utf-8")).get("plots", ()):
            sys.stdout.write(f"{draw(plot, PLOTS).relative_to(ROOT)}\n")
    for path in draw_all(RESULTS / "profiles", PLOTS):
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
