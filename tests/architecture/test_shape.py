"""Import direction, sizes, and what may stand in no file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import PACKAGES, ROOT, files, name_of, python_files, tree

LINT_IMPORTS = "from importlinter.cli import lint_imports_command as lint; lint()"
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
EVERYWHERE = (*PACKAGES, "benchmarks", "tests")
#: A path that only exists on the machine of whoever wrote it.
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:root|work|home)(?=[/\s\"'`:,)]|$)")
REGISTRIES = (
    "pypi.org",
    "pythonhosted.org",
    "repo1.maven.org",
    "repo.maven.apache.org",
    "registry.npmjs.org",
    "proxy.golang.org",
    "crates.io",
    "registry-1.docker.io",
)


def test_imports_go_downwards_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-cache"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_is_under_the_contract() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert found == set(PACKAGES)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_functions_are_short() -> None:
    long = [
        f"{name_of(path)}:{function.lineno} {function.name}: {lines} lines"
        for path in python_files(*EVERYWHERE)
        for function in functions(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_files_are_short() -> None:
    long = [
        f"{name_of(path)}: {lines} lines"
        for path in python_files(*EVERYWHERE)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_modules_postpone_annotations() -> None:
    missing = [
        name_of(path)
        for path in python_files(*EVERYWHERE)
        if tree(path).body
        and not any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for node in tree(path).body
        )
    ]
    assert not missing, missing


def test_modules_say_what_they_are() -> None:
    silent = [
        name_of(path)
        for path in python_files(*PACKAGES)
        if tree(path).body and not ast.get_docstring(tree(path))
    ]
    assert not silent, silent


def test_packages_import_nothing_by_themselves() -> None:
    busy = [
        name_of(path)
        for path in python_files(*EVERYWHERE)
        if path.name == "__init__.py" and tree(path).body
    ]
    assert not busy, busy


def test_nothing_is_printed() -> None:
    printed = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"print", "breakpoint"}
    ]
    assert not printed, printed


def texts() -> Iterator[tuple[Path, str]]:
    for path in files():
        if path != Path(__file__):
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    named = [
        f"{name_of(path)}: {line.strip()[:120]}"
        for path, text in texts()
        for line in text.splitlines()
        if MACHINE_PATH.search(line)
    ]
    assert not named, "\n".join(named)


def test_no_file_names_a_registry() -> None:
    named = [
        f"{name_of(path)}: {registry}"
        for path, text in texts()
        for registry in REGISTRIES
        if registry in text
    ]
    assert not named, "\n".join(named)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("cd /" + "work/main", True),
        ('Path("/root")', True),
        ("in `/home`", True),
        ("https://example.org/home", False),
        ("docs/" + "work/plan", False),
        ("$HOME/" + "work/x", False),
        ("/homes", False),
    ],
)
def test_a_path_of_a_machine_is_told_from_others(line: str, *, found: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is found
