"""The programs that prepare a server: where they are, and running one to its end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from events.errors import ErrorKind, StreamHubError

TIMEOUT_S = 120.0


class PreparationError(StreamHubError):
    """A program that prepares a server failed. The message holds what it printed."""

    kind = ErrorKind.UNAVAILABLE
    code = "SERVER_PREPARATION_FAILED"


def run(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    text: str = "",
    timeout_s: float = TIMEOUT_S,
) -> str:
    """Return what the program printed; ``text`` is its standard input.

    Raises ``PreparationError`` when it fails or does not end in ``timeout_s``.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the command lines are the stack's own
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PreparationError(f"{Path(argv[0]).name}: {error}") from error
    if done.returncode != 0:
        raise PreparationError(f"{Path(argv[0]).name} failed:\n{done.stdout}")
    return done.stdout


def package_folder(name: str) -> Path:
    """Return where an installed package lies, without running its code.

    Raises ``PreparationError`` when it is not installed.
    """
    package = find_spec(name)
    if package is None or package.origin is None:
        raise PreparationError(f"the package {name} is not installed")
    return Path(package.origin).parent
