"""The check of ratios between two releases."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from benchmarks import compare, run


def document(*figures: dict[str, Any], quick: bool = False, rounds: int = 3) -> dict[str, Any]:
    return {"topic": "projection", "figures": figures, "quick": quick, "rounds": rounds}


def ratio(
    low: float, median: float, high: float, *, unit: str = "x", lower_is_better: bool = False
) -> dict[str, Any]:
    spread = {"minimum": low, "median": median, "maximum": high}
    return {
        "name": "ours / theirs",
        "unit": unit,
        "spread": spread,
        "target": "",
        "lower_is_better": lower_is_better,
    }


def worse(before: dict[str, Any], now: dict[str, Any]) -> bool:
    _, good = compare.verdict({"projection": before}, {"projection": now}, [])
    return not good


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        (ratio(0.9, 1.0, 1.0), ratio(0.7, 0.75, 0.8), True),
        (ratio(0.7, 1.0, 1.1), ratio(0.7, 0.75, 0.8), False),
        (ratio(1.0, 1.0, 1.0), ratio(0.95, 0.95, 0.95), False),
        (ratio(1.0, 1.0, 1.0), ratio(2.0, 2.0, 2.0), False),
        (ratio(1.0, 1.0, 1.0, unit="events/s"), ratio(0.1, 0.1, 0.1, unit="events/s"), False),
    ],
    ids=["lost", "within its spread", "within a tenth", "won", "no ratio"],
)
def test_a_ratio_is_worse_when_it_lost_more_than_it_varies(
    then: dict[str, Any], now: dict[str, Any], expected: bool
) -> None:
    assert worse(document(then), document(now)) is expected


def test_of_some_ratios_the_lower_is_better() -> None:
    cheap, dear = ratio(1, 1, 1, lower_is_better=True), ratio(2, 2, 2, lower_is_better=True)
    assert worse(document(cheap), document(dear))
    assert not worse(document(dear), document(cheap))


@pytest.mark.parametrize(
    "now",
    [document(ratio(0.1, 0.1, 0.1), quick=True), document(ratio(0.1, 0.1, 0.1), rounds=1)],
    ids=["quick", "one round"],
)
def test_what_was_not_measured_alike_is_left_out_with_a_line(now: dict[str, Any]) -> None:
    lines, good = compare.verdict({"projection": document(ratio(1, 1, 1))}, {"projection": now}, [])
    assert good
    assert len(lines) == 2


def test_a_peer_that_is_missing_now_is_told(tmp_path: Any) -> None:
    lines, good = compare.verdict({"projection": document(ratio(1, 1, 1))}, {}, [])
    assert good
    assert lines[0] == "projection: not measured now"
    with pytest.raises(compare.NothingToCompare):
        compare.results_of(str(tmp_path))


def test_the_command_fails_when_a_ratio_got_worse(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("then", 1.0), ("now", 0.5)):
        folder = tmp_path / name
        folder.mkdir()
        content = orjson.dumps(document(ratio(value, value, value)))
        (folder / "projection.json").write_bytes(content)
    monkeypatch.setattr("benchmarks.report.RESULTS", tmp_path / "now")
    assert run.main(["--against", str(tmp_path / "then")]) == 1
    assert run.main(["--against", str(tmp_path / "now")]) == 0
    assert "worse: projection: ours / theirs: 1 then, 0.5 now" in capsys.readouterr().out
