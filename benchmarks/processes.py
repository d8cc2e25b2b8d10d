"""Measuring programs as processes of their own: each says what it found as JSON."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from benchmarks.report import ROOT


class MeasurementFailed(RuntimeError):
    """A measuring process ended with an error, whose last words are the message."""


async def run_module(
    module: str, arguments: Sequence[str], python: Path | str = sys.executable
) -> bytes:
    """Run a module of this repository to its end and return what it wrote to standard output.

    ``python`` is the interpreter of another environment where the module needs one.

    Raises:
        MeasurementFailed: its exit code is not 0.
    """
    process = await asyncio.create_subprocess_exec(
        str(python),
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate()
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        last_words = errors.decode(errors="replace")[-4_000:]
        raise MeasurementFailed(f"{module} ended with {process.returncode}:\n{last_words}")
    return output


async def measure_module(
    module: str, arguments: Sequence[str], python: Path | str = sys.executable
) -> dict[str, Any]:
    """Run a module and return the JSON object in the last line that it wrote."""
    output = await run_module(module, arguments, python)
    found: dict[str, Any] = orjson.loads(output.splitlines()[-1])
    return found
