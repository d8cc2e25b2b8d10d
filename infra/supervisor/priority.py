"""Which processes stand back where there is not enough of the processor for all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def stand_back(pid: int, niceness: int) -> None:
    """Lower the priority of a process that leads a session and has no threads yet: they inherit it.

    Linux may weigh sessions against each other first and the processes of one only then, so the
    session is lowered as well. Source: sched(7), "The autogroup feature".
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
