"""Long work that operators start: it goes on behind the request, and every console sees it.

A task is the command that an operator would type, in a process of its own: a rebuild decodes
hundreds of thousands of records a second, which would take the event loop from everybody else. Its
progress stands in the stores, so it can be stopped at any moment and started again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import orjson
import structlog

from events.errors import StreamHubError
from infra.postgres.operator_tasks import PostgresTasks, TaskState
from infra.supervisor.client import module_environment

log = structlog.get_logger(__name__)

_BEAT_S = 1.0
#: A process that was asked to stop has so long before it is killed.
_STOP_S = 5.0


class Stopped(Exception):
    """Somebody wants the task stopped."""


class Tasks:
    """Carries the tasks that were started in this process."""

    def __init__(self, store: PostgresTasks) -> None:
        self.store = store
        self._carried: set[asyncio.Task[None]] = set()

    async def start(self, action: str, subject: str, words: Sequence[str], actor_id: str) -> None:
        """Start a command of ``streamhub``; returns at once.

        Raises:
            Conflict: something with this subject is under way.
        """
        task_id = await self.store.begin(action, subject, actor_id)
        carried = asyncio.create_task(self._carry(task_id, words))
        self._carried.add(carried)
        carried.add_done_callback(self._carried.discard)

    async def close(self) -> None:
        """Stop what is under way; whoever starts it again goes on from there."""
        for carried in self._carried:
            carried.cancel()
        if self._carried:
            await asyncio.wait(self._carried)

    async def _carry(self, task_id: str, words: Sequence[str]) -> None:
        state, told = TaskState.STOPPED, "stopped with the API; start it again to go on"
        try:
            state, told = await self._run(task_id, words)
        except Stopped:
            told = "cancelled"
        except Exception as error:
            log.exception("task_failed", task=task_id)
            state, told = TaskState.FAILED, f"{type(error).__name__}; the API's log says more"
        finally:
            await self._end(task_id, state, told)

    async def _end(self, task_id: str, state: TaskState, told: str) -> None:
        try:
            await self.store.end(task_id, state, told)
        except StreamHubError as error:
            log.warning("task_end_unknown", task=task_id, reason=error.message)

    async def _run(self, task_id: str, words: Sequence[str]) -> tuple[TaskState, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "infra.cli", *words),
            env={**os.environ, **module_environment()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        ended = asyncio.create_task(process.communicate())
        try:
            while not ended.done():
                await asyncio.wait([ended], timeout=_BEAT_S)
                await self._obey(task_id)
            output, complaint = ended.result()
        finally:
            await _stop(process, ended)
        state = TaskState.DONE if process.returncode == 0 else TaskState.FAILED
        return state, result_of(output, complaint)

    async def _obey(self, task_id: str) -> None:
        try:
            wanted = await self.store.beat(task_id)
        except StreamHubError:
            # Nobody can want anything while PostgreSQL is away.
            return
        if wanted:
            raise Stopped


async def _stop(
    process: asyncio.subprocess.Process, ended: asyncio.Task[tuple[bytes, bytes]]
) -> None:
    """See to it that a process has ended."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        await asyncio.wait([ended], timeout=_STOP_S)
    if process.returncode is None:
        process.kill()
        await asyncio.wait([ended], timeout=_STOP_S)


def result_of(output: bytes, complaint: bytes) -> str:
    """Return what a command came to, in a sentence."""
    try:
        rows: list[dict[str, Any]] = orjson.loads(output)
    except orjson.JSONDecodeError:
        rows = []
    told = "; ".join(_row(row) for row in rows)
    lines = complaint.decode("utf-8", "replace").strip().splitlines()
    return told or (lines[-1].removeprefix("streamhub: ") if lines else "")


def _row(row: dict[str, Any]) -> str:
    if "letter" in row:
        return f"{row['letter'] or row['key']}: {row['error'] or row['result'] or row['state']}"
    compared = row["compared"]
    rows = "" if compared is None else f", {compared} rows compared"
    return f"{row['build']} is {row['state']}{rows}"
