"""A worker ends when it is to end, whatever hangs in it, and says what ends it."""

from __future__ import annotations

import subprocess
import sys

_HANGS = """
import threading
from infra.worker import end_within
threading.Thread(target=threading.Event().wait).start()
end_within(0.1)
"""
_FAILS = """
import asyncio
from infra.worker import tell_failures
async def fail():
    raise OSError("the disk is gone")
async def main():
    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.wait(tasks)
    tell_failures(tasks)
asyncio.run(main())
"""


def ended(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_worker_whose_thread_hangs_is_ended() -> None:
    process = ended(_HANGS)
    assert (process.returncode, "worker_does_not_end" in process.stdout) == (1, True), process


def test_what_has_failed_is_told_in_a_line_each() -> None:
    [line] = ended(_FAILS).stdout.splitlines()
    assert "worker_fails" in line
    assert "OSError: the disk is gone" in line
