"""Ends a process whose event loop hangs: in a call that blocks, in a lock, in C code.

Such a process looks alive from outside, and nothing in it can notice: whatever would look runs in
the loop that hangs. The timer of the standard library's ``faulthandler`` runs beside it, and needs
neither the loop nor the interpreter's lock. Before the end it writes the stacks of all threads to
the process' log.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def ended_if_it_hangs(seconds: float) -> AsyncIterator[None]:
    """End this process with exit code 1 when its loop did not turn for so long."""

    async def keep_putting_off() -> None:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True)
            await asyncio.sleep(seconds / 4)

    task = asyncio.create_task(keep_putting_off())
    try:
        yield
    finally:
        task.cancel()
        faulthandler.cancel_dump_traceback_later()
