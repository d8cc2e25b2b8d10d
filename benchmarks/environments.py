"""Environments of their own for what benchmarks need and StreamHub does not: ``make bench-peers``.

Each has a lock of its name in ``requirements``; they cannot share one, because their wishes clash.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.report import ROOT

_FOLDER = ROOT / ".venv-peers"


def python_of(environment: str) -> Path | None:
    """Return an environment's interpreter, None where it is not installed."""
    path = _FOLDER / environment / "bin" / "python"
    return path if path.exists() else None


def versions(environment: str, *packages: str) -> dict[str, str]:
    """Return the versions that an environment's lock names, nothing where it is not installed."""
    if python_of(environment) is None:
        return {}
    lock = ROOT / "requirements" / f"{environment}.lock"
    pins = (line.split() for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line)
    found = dict(pin[0].split("==") for pin in pins if "==" in pin[0])
    return {name: found[name] for name in packages}


def absent(environment: str, what: str) -> str:
    """Return the line that tells people what was left out and how to have it."""
    return f"  {what} left out: no environment '{environment}' (make bench-peers installs it)"
