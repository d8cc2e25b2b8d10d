"""The locks hold what pyproject asks for, hashed, without an address, and never ``events``."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.lock"))
#: Environments beside ours, which ``make bench-peers`` installs.
PEERS = ("peers", "plots", "quixstreams")
#: A dependency of opensearch-py whose name is that of our own package.
EXCLUDED = "events"


def pinned(lock: Path) -> dict[NormalizedName, Requirement]:
    """Return the packages of a lock by name."""
    lines = [line.partition(" \\")[0] for line in lock.read_text().splitlines() if "==" in line]
    found = [Requirement(line) for line in lines if not line.startswith((" ", "#"))]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def version(requirement: Requirement) -> str:
    [specifier] = requirement.specifier
    return specifier.version


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def wanted(*extras: str) -> list[Requirement]:
    table = project()
    optional = table["optional-dependencies"]
    texts = [*table["dependencies"], *(text for extra in extras for text in optional[extra])]
    return [Requirement(text) for text in texts]


def test_there_are_locks() -> None:
    assert {lock.stem for lock in LOCKS} == {"bootstrap", "dev", "image", "runtime", *PEERS}


def test_what_benchmarks_run_beside_streamhub_is_locked() -> None:
    for stem in PEERS:
        locked = pinned(REQUIREMENTS / f"{stem}.lock")
        lines = (REQUIREMENTS / f"{stem}.in").read_text().splitlines()
        for requirement in (Requirement(line) for line in lines if not line.startswith("#")):
            found = locked[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version(found)), requirement


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--index" not in text
    assert " @ " not in text


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_of_a_lock_is_pinned_with_hashes(lock: Path) -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", lock.read_text())
    packages = [block for block in blocks if re.match(r"[a-z0-9]", block)]
    assert len(packages) == len(pinned(lock))
    for block in packages:
        assert re.match(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+", block), block
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_the_package_that_would_hide_ours_is_left_out(lock: Path) -> None:
    assert EXCLUDED not in pinned(lock)


def test_the_package_that_would_hide_ours_is_not_installed() -> None:
    assert EXCLUDED not in {canonicalize_name(found.name) for found in distributions()}


@pytest.mark.parametrize(
    ("stem", "extras"),
    [("image", ()), ("runtime", ("native", "models")), ("dev", ("native", "models", "dev"))],
)
def test_a_lock_holds_what_the_project_asks_for(stem: str, extras: tuple[str, ...]) -> None:
    locked = pinned(REQUIREMENTS / f"{stem}.lock")
    for requirement in wanted(*extras):
        found = locked.get(canonicalize_name(requirement.name))
        assert found is not None, f"{requirement} is not locked; run make lock"
        assert requirement.specifier.contains(version(found), prereleases=True), requirement
    assert "setuptools" in locked


def test_the_locks_agree_on_versions() -> None:
    dev = pinned(REQUIREMENTS / "dev.lock")
    for stem in ("runtime", "image"):
        for name, requirement in pinned(REQUIREMENTS / f"{stem}.lock").items():
            assert version(requirement) == version(dev[name]), f"{name} in {stem}.lock"


def test_no_dependency_of_a_locked_package_is_missing() -> None:
    """Nothing is resolved at installation, so what a lock forgets is a failed import later."""
    locked = pinned(REQUIREMENTS / "dev.lock")
    installed = {canonicalize_name(found.name): found for found in distributions()}
    for name, requirement in locked.items():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        assert name in installed, f"{name} is not installed; run make install-dev"
        for needed in _needs(installed[name]):
            if needed != EXCLUDED:
                assert needed in locked, f"{name} needs {needed}"


def _needs(distribution: Distribution) -> set[NormalizedName]:
    environment: dict[str, Any] = {**default_environment(), "extra": ""}
    requirements = [Requirement(text) for text in distribution.requires or []]
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }


def test_make_installs_without_resolving() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "PINNED := --no-deps --require-hashes" in makefile
    recipes = [line for line in makefile.replace("\\\n", "").splitlines() if line[:1] == "\t"]
    installs = [line for line in recipes if "pip install" in line]
    assert len(installs) == 4
    for line in installs:
        resolved = re.sub(r"--no-deps --no-build-isolation --editable \.", "$(PINNED)", line)
        assert resolved.count("$(PINNED)") == line.count("pip install"), line


def test_make_lists_every_target() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make on this machine")
    listed = subprocess.run([make, "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    declared = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    assert set(re.findall(r"make ([a-z-]+)", listed.stdout)) >= set(declared.group(1).split())
