"""Files of the moment go with their process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from infra.scratch import own_scratch


def test_what_dead_processes_left_is_removed_and_living_ones_keep_theirs(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        ended.wait()
    (tmp_path / f"process-{ended.pid}" / "transcode-x").mkdir(parents=True)
    (tmp_path / f"process-{os.getppid()}").mkdir()
    (tmp_path / f"process-{os.getpid()}" / "of an earlier life").mkdir(parents=True)
    mine = own_scratch(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"process-{os.getppid()}", f"process-{os.getpid()}"}
    assert list(mine.iterdir()) == []
    assert own_scratch(tmp_path) == mine
