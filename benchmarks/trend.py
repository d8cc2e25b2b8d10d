"""Ratios from version to version: what each release kept, and the table of it.

``python -m benchmarks.run --keep 0.2.0`` at a release writes ``benchmarks/results/versions/
0.2.0.json``: figures with their spread, without the single runs, which git keeps with the release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from benchmarks.report import RATIO, RESULTS, Document, number

VERSIONS = RESULTS / "versions"
NOW = "now"
_KEPT = ("topic", "figures", "rounds", "quick", "machine", "commit", "versions", "command")

#: Version -> its documents.
History = dict[str, list[Document]]


def keep(version: str, documents: Sequence[Document], folder: Path = VERSIONS) -> Path:
    """Write down what a version was measured to do, and return where.

    Raises:
        ValueError: a version is three numbers.
    """
    _order(version)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{version}.json"
    kept = [{name: content[name] for name in _KEPT} for content in documents]
    path.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def history(folder: Path = VERSIONS) -> History:
    """Return all versions that were kept, the oldest first."""
    paths = sorted(folder.glob("*.json"), key=lambda path: _order(path.stem))
    return {path.stem: orjson.loads(path.read_bytes()) for path in paths}


def _order(version: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in version.split("."))
    if len(numbers) != 3:
        raise ValueError(f"{version} is not three numbers")
    return numbers


def table(kept: Mapping[str, Sequence[Document]], now: Sequence[Document]) -> str:
    """Return the medians of all ratios, a column a version; quick runs have a tilde."""
    columns = {**kept, NOW: now}
    cells: dict[str, dict[str, str]] = {}
    for version, documents in columns.items():
        for content in documents:
            for figure in content["figures"]:
                if figure["unit"] == RATIO:
                    row = cells.setdefault(f"{content['topic']}: {figure['name']}", {})
                    row[version] = _cell(content, figure)
    lines = [f"| Ratio | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in cells.items():
        shown = " | ".join(row.get(version, "") for version in columns)
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines)


def _cell(content: Document, figure: Mapping[str, Any]) -> str:
    return ("~ " if content["quick"] else "") + number(figure["spread"]["median"])
