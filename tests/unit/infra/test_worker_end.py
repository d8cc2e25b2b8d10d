"""A worker ends when it is to end, whatever hangs in it."""

from __future__ import annotations

import subprocess
import sys

_HANGS = """
import threading
from infra.worker import end_within
threading.Thread(target=threading.Event().wait).start()
end_within({seconds})
"""


def ended(seconds: float) -> subprocess.CompletedProcess[str]:
    script = _HANGS.format(seconds=seconds)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_worker_whose_thread_hangs_is_ended() -> None:
    process = ended(0.1)
    assert (process.returncode, "worker_does_not_end" in process.stdout) == (1, True), process
