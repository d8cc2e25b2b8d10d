"""The arithmetic of scale and the table of versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import scale, trend


def document(topic: str, name: str, value: float, unit: str) -> dict[str, Any]:
    spread = {"minimum": value, "median": value, "maximum": value}
    figure = {"name": name, "unit": unit, "spread": spread, "target": ""}
    return {
        "topic": topic,
        "figures": [figure],
        "rounds": 3,
        "quick": False,
        "machine": {},
        "commit": "",
        "versions": {},
        "command": "",
        "raw": {"much": "more"},
    }


def test_a_line_has_its_formula_and_what_it_stands_on() -> None:
    figures = scale.Figures([document("resources", "Event among 500", 300, "bytes")])
    [line] = [each for each in scale.lines(figures) if each.what == "Events kept, a day"]
    assert line.result == "900 GB"
    assert line.formula == "events a day * bytes an event * copies"
    assert line.source == "resources: Event among 500, 300 bytes"


def test_a_line_without_its_figure_says_so() -> None:
    [mean, peak, *others] = scale.lines(scale.Figures([]))
    assert (mean.result, peak.result) == ("11,574", "34,722")
    assert all(line.source.startswith("not measured: ") for line in others)


def test_every_worker_has_two_partitions() -> None:
    assert scale.workers(1_000, 100) == pytest.approx(16.7, abs=0.1)
    assert scale.partitions(1_000, 100, 500) == 64


def test_versions_are_kept_in_order_and_shown_beside_each_other(tmp_path: Path) -> None:
    for version, value in (("0.10.0", 3.0), ("0.9.0", 2.0)):
        trend.keep(version, [document("rebuild", "ours / theirs", value, "x")], tmp_path)
    kept = trend.history(tmp_path)
    assert list(kept) == ["0.9.0", "0.10.0"]
    assert "raw" not in kept["0.9.0"][0]
    now = {**document("rebuild", "ours / theirs", 4.0, "x"), "quick": True}
    assert trend.table(kept, [now]).splitlines() == [
        "| Ratio | 0.9.0 | 0.10.0 | now |",
        "|---|---|---|---|",
        "| rebuild: ours / theirs | 2 | 3 | ~ 4 |",
    ]


def test_a_version_is_three_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="three numbers"):
        trend.keep("1.0", [], tmp_path)
