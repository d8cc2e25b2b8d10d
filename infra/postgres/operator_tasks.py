"""What operators started at the console, kept where every console sees it.

A task is carried by one process, which says every moment that it is still there. One whose carrier
is gone was stopped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from events import clock
from events.errors import Conflict
from infra.postgres.database import Pool
from infra.postgres.sink import store_errors

#: A carrier that was not heard of for so long is gone.
GONE_S = 15.0
KEPT_DAYS = 90
_TOLD_CHARACTERS = 2_000
#: A task is waited for as long as its carrier waits before it kills, and a little longer.
_STOP_LOOKS = 75
_STOP_POLL_S = 0.2

_SETTLE = (
    "UPDATE operator_tasks SET state = 'stopped', ended_at = seen_at, "
    "told = 'the process that carried it is gone; what it had done is kept' "
    "WHERE state = 'running' AND seen_at < now() - $1 * interval '1 second'"
)
_BEGIN = (
    "INSERT INTO operator_tasks (id, action, subject, actor_id, state) "
    "VALUES ($1, $2, $3, $4, 'running') "
    "ON CONFLICT (subject) WHERE state = 'running' DO NOTHING RETURNING id"
)
_RECENT = (
    "SELECT id::text, action, subject, actor_id::text, state, told, started_at, ended_at "
    "FROM operator_tasks ORDER BY started_at DESC, id DESC LIMIT $1"
)


class TaskState(StrEnum):
    """How far a task is; a stopped one can be started again."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Task:
    """Something that an operator did, to whom or what, and what came of it."""

    id: str
    action: str
    subject: str
    actor_id: str
    state: TaskState
    told: str
    started_at: datetime
    ended_at: datetime | None


class PostgresTasks:
    """The tasks of an installation; every method raises StoreUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, action: str, subject: str, actor_id: str) -> str:
        """Note that a task runs; return its id.

        Raises:
            Conflict: another one with this subject runs.
        """
        task_id = clock.new_id()
        async with store_errors():
            await self._pool.execute(_SETTLE, GONE_S)
            begun = await self._pool.fetchval(_BEGIN, task_id, action, subject, actor_id)
        if begun is None:
            raise Conflict(f"Something is under way with {subject}; wait for it, or cancel it")
        return task_id

    async def beat(self, task_id: str) -> bool:
        """Note that a task still runs; say whether somebody wants it stopped."""
        async with store_errors():
            wanted = await self._pool.fetchval(
                "UPDATE operator_tasks SET seen_at = now() WHERE id = $1 RETURNING stop_wanted",
                task_id,
            )
        return bool(wanted)

    async def end(self, task_id: str, state: TaskState, told: str) -> None:
        """Note how a task ended."""
        async with store_errors():
            await self._pool.execute(
                "UPDATE operator_tasks SET state = $2, told = $3, ended_at = now() WHERE id = $1",
                task_id,
                state.value,
                told[:_TOLD_CHARACTERS],
            )

    async def note(self, action: str, subject: str, actor_id: str, told: str) -> None:
        """Note something that was done at once; forget what is long ago."""
        async with store_errors():
            await self._pool.execute(
                "INSERT INTO operator_tasks (id, action, subject, actor_id, state, told, ended_at) "
                "VALUES ($1, $2, $3, $4, 'done', $5, now())",
                clock.new_id(),
                action,
                subject,
                actor_id,
                told[:_TOLD_CHARACTERS],
            )
            await self._pool.execute(
                "DELETE FROM operator_tasks WHERE started_at < now() - $1 * interval '1 day'",
                KEPT_DAYS,
            )

    async def ask_to_stop(self, subject: str) -> bool:
        """Have the task with a subject stopped by whoever carries it; say whether one runs."""
        async with store_errors():
            await self._pool.execute(_SETTLE, GONE_S)
            asked = await self._pool.fetchval(
                "UPDATE operator_tasks SET stop_wanted = true "
                "WHERE subject = $1 AND state = 'running' RETURNING id",
                subject,
            )
        return asked is not None

    async def stopped(self, subject: str) -> None:
        """Wait until no task with this subject runs any more.

        Raises:
            Conflict: it does not stop.
        """
        for _ in range(_STOP_LOOKS):
            if not await self.running(subject):
                return
            await asyncio.sleep(_STOP_POLL_S)
        raise Conflict(f"What is under way with {subject} does not stop; try again")

    async def running(self, subject: str) -> bool:
        """Say whether a task with this subject runs."""
        async with store_errors():
            await self._pool.execute(_SETTLE, GONE_S)
            return bool(
                await self._pool.fetchval(
                    "SELECT count(*) FROM operator_tasks WHERE subject = $1 AND state = 'running'",
                    subject,
                )
            )

    async def recent(self, limit: int) -> list[Task]:
        """Return the tasks that were started last, newest first."""
        async with store_errors():
            rows = await self._pool.fetch(_RECENT, limit)
        return [Task(**{**row, "state": TaskState(row["state"])}) for row in rows]
