"""Log files of bounded size, written by processes that know nothing of it."""

from __future__ import annotations

import os
from pathlib import Path

LOG_BYTES_MAX = 8 * 1024 * 1024
TAIL_LINES = 30
TAIL_BYTES = 16_384


def cap_log(log_file: Path, size_bytes_max: int = LOG_BYTES_MAX) -> None:
    """Move what a full log holds to ``<name>.1`` and empty it in place.

    The process keeps its open descriptor; because that appends, it goes on at the new end. At most
    twice ``size_bytes_max`` stays on the disk for each log.
    """
    try:
        if log_file.stat().st_size <= size_bytes_max:
            return
    except FileNotFoundError:
        return
    with log_file.open("rb+") as log, older_log(log_file).open("wb") as older:
        log.seek(-size_bytes_max, os.SEEK_END)
        while chunk := log.read(65_536):
            older.write(chunk)
        log.truncate(0)


def older_log(log_file: Path) -> Path:
    """Return where the previous part of a log is kept."""
    return log_file.with_name(log_file.name + ".1")


def tail(log_file: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, or an empty text when there is none."""
    try:
        with log_file.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
