"""Recording where a process spends its time, by py-spy from the environment ``plots``."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from benchmarks.environments import python_of

#: Samples a second.
RATE = 200
#: How often a process' clock is read, for it may end.
_LOOK_S = 0.05
#: Longer than any work that ends by itself, and than anybody needs to look at any other.
LONG_S = 600
_LOADS = Path(__file__).with_name("loads.py")


class RecordingFailed(RuntimeError):
    """A load or py-spy ended with an error."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What py-spy wrote, a stack a line, the processor time meanwhile, and how much was done."""

    path: str
    raw: Sequence[str]
    cpu_s: float
    done: float


def spy() -> Path | None:
    """Return py-spy, None where it is not installed."""
    python = python_of("plots")
    found = python.with_name("py-spy") if python else None
    return found if found and found.exists() else None


def recordings(
    load: str, paths: Sequence[str], servers: Mapping[str, str], tree: Path, seconds: int
) -> Iterator[Recording]:
    """Put a load on the StreamHub of a checkout; record one hot path after another.

    Raises:
        RecordingFailed: the load ended too early, or py-spy with an error.
    """
    command = [sys.executable, "-P", str(_LOADS), load, *paths, "--servers", json.dumps(servers)]
    with subprocess.Popen(
        command,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        for path in paths:
            seen = _said(process.stdout)
            raw, cpu_s = _record(seen["pid"], LONG_S if seen["ends"] else seconds)
            print(file=process.stdin, flush=True)
            found = _said(process.stdout)
            # Of work that does not end, what was done while py-spy looked.
            part = seconds / found["seconds"] if found["seconds"] else 1.0
            yield Recording(path, raw, cpu_s, found["done"] * part)


def _said(output: IO[str]) -> dict[str, Any]:
    for line in output:
        if line.startswith("{"):
            said: dict[str, Any] = json.loads(line)
            return said
    raise RecordingFailed("the load ended too early")


def _record(pid: int, seconds: int) -> tuple[list[str], float]:
    """Return the stacks, and the processor time that the process used, for so long or to its end.

    Only threads that hold Python's lock are looked at: one that waits is woken by being stopped for
    the look, and would seem to work.
    """
    process = psutil.Process(pid)
    with tempfile.TemporaryDirectory(prefix="streamhub-profile-") as folder:
        raw = Path(folder) / "raw"
        command = [str(spy()), "record", "--gil", "--full-filenames", "--format", "raw"]
        command += ["--rate", str(RATE), "--duration", str(seconds), "--pid", str(pid)]
        command += ["--output", str(raw)]
        begun = used = _cpu_seconds(process)
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as recording:
            while recording.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    used = max(used, _cpu_seconds(process))
                time.sleep(_LOOK_S)
            if recording.returncode != 0:
                words = recording.stderr.read() if recording.stderr else ""
                raise RecordingFailed(f"py-spy: {words[-2_000:]}")
        return raw.read_text(encoding="utf-8").splitlines(), used - begun


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
