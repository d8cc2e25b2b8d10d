"""What the console's pages work with, as one process has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from fastapi import Depends, Request

from infra.bootstrap.api import ApiParts
from infra.bootstrap.core import Core
from infra.console.overview import OverviewReader
from infra.console.tasks import Tasks
from infra.kafka.ends import LogEnds
from infra.postgres.operator_tasks import PostgresTasks

P = ParamSpec("P")
T = TypeVar("T")
#: Readings of the log at a time; more of them wait.
READINGS = 2


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """Everything that pages use; ``stopping`` says whether the process is about to end."""

    api: ApiParts
    tasks: Tasks
    overview: OverviewReader
    stopping: Callable[[], bool]
    _readers: ThreadPoolExecutor = field(repr=False)

    @property
    def core(self) -> Core:
        return self.api.core

    @property
    def kafka(self) -> str:
        return self.core.places.kafka

    async def apart(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what blocking work comes to, done beside the event loop."""

        def done() -> T:
            return work(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, done)


@asynccontextmanager
async def open_console(api: ApiParts, stopping: Callable[[], bool]) -> AsyncIterator[ConsoleParts]:
    """Connect what the console needs beside the API; stops its tasks at the end."""
    async with AsyncExitStack() as stack:
        # Its own, for it reads old records, which takes a moment: commands wait for the other.
        ends = LogEnds(api.core.places.kafka)
        stack.push_async_callback(ends.close)
        readers = ThreadPoolExecutor(READINGS, "console")
        stack.callback(readers.shutdown, wait=False, cancel_futures=True)
        store = PostgresTasks(api.core.pool)
        tasks = Tasks(store)
        stack.push_async_callback(tasks.close)
        yield ConsoleParts(api, tasks, OverviewReader(api.core, ends, store), stopping, readers)


async def _parts(request: Request) -> ConsoleParts:
    return cast("Any", request.app.state).parts  # type: ignore[no-any-return]


Parts = Annotated[ConsoleParts, Depends(_parts)]
