"""The files of the project, as the tests of its shape see them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "commands",
    "events",
    "infra",
    "processors",
    "projections",
    "query_api",
    "schemas",
)


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is tracked or would be, in order."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def python_files(*folders: str) -> Iterator[Path]:
    """Yield the Python files below some folders of the root."""
    for path in files():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders:
            yield path


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    """Return a path as failures show it."""
    return path.relative_to(ROOT).as_posix()


def table_rows(document: str) -> list[tuple[str, ...]]:
    """Return the cells of every table row in a Markdown file, heads and rules left out."""
    rows = []
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        is_head = following.startswith("|--")
        if line.startswith("|") and not line.startswith("|--") and not is_head:
            rows.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return rows
