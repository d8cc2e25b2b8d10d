"""The table of requirements names a test for each row, and the test exists."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.tree import ROOT, table_rows, tree

DOCUMENT = "docs/requirements.md"
_STREAMHUB = (
    (10, 18),
    (25, 26),
    (29, 51),
    (59, 66),
    (68, 70),
    (72, 74),
    (78, 78),
    (80, 80),
    (83, 84),
    (89, 89),
    (98, 98),
    (102, 103),
    (105, 115),
    (117, 125),
    (130, 131),
    (133, 133),
    (136, 136),
    (146, 151),
    (171, 173),
    (176, 176),
)
ROWS = (
    *(f"SH-{number:02}" for first, last in _STREAMHUB for number in range(first, last + 1)),
    "PN-01",
    "PN-33",
    "PN-34",
    "PN-35",
    "PN-36",
    "PN-74",
    "MN-43",
    "IR-14",
)


def rows() -> list[tuple[str, ...]]:
    assert (ROOT / DOCUMENT).exists(), f"{DOCUMENT} is missing"
    return table_rows(DOCUMENT)


def named_tests(path: Path) -> set[str]:
    """Return the names of the tests that a file holds, those in classes as ``Class::test``."""
    names = set()
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{child.name}"
                for child in node.body
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return {name for name in names if name.rpartition("::")[2].startswith("test")}


def missing(reference: str) -> bool:
    name, _, test = reference.strip("` ").partition("::")
    path = ROOT / name
    return not test or not path.is_file() or test.partition("[")[0] not in named_tests(path)


def test_every_requirement_has_a_row() -> None:
    lacking = sorted(set(ROWS) - {row[0] for row in rows()})
    assert not lacking, f"{len(lacking)} rows lack: {', '.join(lacking)}"


def test_no_requirement_has_two_rows() -> None:
    names = [row[0] for row in rows()]
    assert len(names) == len(set(names))


def test_every_row_says_what_works_and_names_tests() -> None:
    short = [row[0] for row in rows() if len(row) != 3 or not row[1] or not row[2]]
    assert not short, f"these rows are not `| row | what | tests/path.py::test_name |`: {short}"


def test_every_test_that_a_row_names_exists() -> None:
    named = [(row[0], each) for row in rows() for each in row[2].replace("<br>", ",").split(",")]
    dangling = [f"{name}: {reference.strip()}" for name, reference in named if missing(reference)]
    assert not dangling, "\n".join(dangling)
