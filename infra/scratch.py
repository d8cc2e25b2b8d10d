"""Folders for files of the moment: one a process, gone with it, however it ended."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import psutil


@cache
def own_scratch(folder: Path) -> Path:
    """Return an empty folder of this process in ``folder``; those of dead processes are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / f"process-{os.getpid()}"
    for other in folder.glob("process-*"):
        pid = other.name.removeprefix("process-")
        if other == mine or not (pid.isdecimal() and psutil.pid_exists(int(pid))):
            shutil.rmtree(other, ignore_errors=True)
    mine.mkdir()
    return mine
