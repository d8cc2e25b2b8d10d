"""The one worker: any subset of roles in a process, ended as a whole when one can go no further."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
from prometheus_client import start_http_server

from events.errors import Unavailable
from infra.bootstrap.core import Core, open_core
from infra.builds_watch import BuildsWatch
from infra.collector import relieve_collector
from infra.hanging import ended_if_it_hangs
from infra.kafka.dead_letters import KafkaDeadLetters
from infra.kafka.ends import LogEnds
from infra.memory import keep_freed_memory
from infra.settings import Settings
from infra.watchdog import Watchdog
from projections.batches import BatchReader
from projections.declaration import Store

if TYPE_CHECKING:
    from commands.processor import CommandProcessor
    from projections.streaming import StreamWorker

log = structlog.get_logger(__name__)

_FIRST_RETRY_S = 0.2
_LAST_RETRY_S = 5.0
_STOP_TIMEOUT_S = 20.0
#: Whoever supervises a worker gives it 30 s.
_END_TIMEOUT_S = 28.0


class Role(StrEnum):
    """What a worker may do; ``projections`` and ``processors`` stand for all of their kind."""

    COMMANDS = "commands"
    PROJECTIONS = "projections"
    PROJECTIONS_POSTGRES = "projections-postgres"
    PROJECTIONS_REDIS = "projections-redis"
    PROJECTIONS_CLICKHOUSE = "projections-clickhouse"
    PROJECTIONS_OPENSEARCH = "projections-opensearch"
    PROCESSORS = "processors"
    TRANSCODE = "transcode"
    MODERATE = "moderate"
    VERDICTS = "verdicts"


_KINDS = {
    Role.PROJECTIONS: tuple(role for role in Role if role.startswith("projections-")),
    Role.PROCESSORS: (Role.TRANSCODE, Role.MODERATE, Role.VERDICTS),
}


def expand(roles: Sequence[Role]) -> frozenset[Role]:
    """Return the single roles behind those that stand for several."""
    return frozenset(single for role in roles for single in _KINDS.get(role, (role,)))


async def run_worker(settings: Settings, roles: Sequence[Role]) -> None:
    """Work until SIGTERM or SIGINT.

    Raises:
        StreamHubError: a role can go no further; the process must end, its supervisor starts it
            anew from the positions in the stores.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with ended_if_it_hangs(settings.stall_seconds), open_core(settings) as core:
        if settings.metrics_port:
            start_http_server(settings.metrics_port, settings.host)
        log.info("worker_started", roles=sorted(expand(roles)), pid=os.getpid())
        await _work(core, expand(roles), stopping)
        log.info("worker_stopped")


async def _work(core: Core, roles: frozenset[Role], stopping: asyncio.Event) -> None:
    dead_letters = KafkaDeadLetters(core.places.kafka)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(dead_letters.close)
        ends = LogEnds(core.places.kafka)
        stack.push_async_callback(ends.close)
        readers = await _readers(core, roles, dead_letters, ends, stack)
        tasks: list[asyncio.Future[Any]] = [asyncio.create_task(stopping.wait())]
        tasks += await _watch_builds(core, readers, stack)
        workers = _stream_workers(core, readers)
        for worker in workers:
            await worker.start()
        tasks += [worker.failed for worker in workers]
        if workers:
            tasks.append(_watch_stores(core, readers, ends, stack))
            watchdog = Watchdog(workers, ends, core.settings.stall_seconds)
            watching = asyncio.create_task(watchdog.run())
            stack.callback(watching.cancel)
            tasks.append(watching)
        deciding: list[asyncio.Task[None]] = []
        if Role.COMMANDS in roles:
            deciding.append(asyncio.create_task(_decide_for_ever(core, stopping)))
        relieve_collector()
        keep_freed_memory()
        done, _ = await asyncio.wait([*tasks, *deciding], return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        end_within(_END_TIMEOUT_S)
        tell_failures(done)
        await _stop(workers, deciding)
        for task in done:
            task.result()


def end_within(seconds: float) -> None:
    """End this process by force unless it has ended by then.

    Clients that lost their server can wait for themselves while they are closed, and a worker that
    works no more but does not end is never started again.
    """

    def end() -> None:
        log.error("worker_does_not_end", seconds=seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def tell_failures(done: Iterable[asyncio.Future[Any]]) -> None:
    """Log what has failed among what is done: who ends by force tells nothing any more."""
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("worker_fails", reason=f"{type(error).__name__}: {error}")


async def _watch_builds(
    core: Core, readers: Sequence[BatchReader], stack: contextlib.AsyncExitStack
) -> list[asyncio.Future[Any]]:
    """Let the runners among the readers obey operators, before they apply anything."""
    from projections.runner import Runner

    runners = [(reader.store, reader) for reader in readers if isinstance(reader, Runner)]
    if not runners:
        return []
    watch = BuildsWatch(core.builds, runners)
    stack.push_async_callback(watch.leave)
    await watch.join()
    task = asyncio.create_task(watch.run())
    stack.callback(task.cancel)
    return [task]


def _watch_stores(
    core: Core,
    readers: Sequence[BatchReader],
    ends: LogEnds,
    stack: contextlib.AsyncExitStack,
) -> asyncio.Future[Any]:
    """Look whether the readers' stores stand where those have brought them."""
    from infra.ahead import Remembering, StoreWatch
    from projections.runner import Runner

    sinks = {sink.store: sink for sink in core.sinks}
    runners = [(sinks[reader.store], reader) for reader in readers if isinstance(reader, Runner)]
    reactions = [reader for reader in readers if isinstance(reader, Remembering)]
    task = asyncio.create_task(StoreWatch(core.builds, ends, runners, reactions).run())
    stack.callback(task.cancel)
    return task


def _stream_workers(core: Core, readers: Sequence[BatchReader]) -> list[StreamWorker]:
    if not readers:
        return []
    from projections.runner import Runner
    from projections.streaming import StreamWorker
    from projections.unpacking import SharedRecords

    # Not with reactions: records would be held for one that is at a film for minutes.
    runners = [reader for reader in readers if isinstance(reader, Runner)]
    shared = SharedRecords.among([runner.topics() for runner in runners])
    return [
        StreamWorker(core.places.kafka, reader, shared=shared if reader in runners else None)
        for reader in readers
    ]


async def _stop(workers: Sequence[StreamWorker], deciding: Sequence[asyncio.Task[None]]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            stops = [worker.stop() for worker in workers]
            await asyncio.gather(*stops, *deciding, return_exceptions=True)


async def _readers(
    core: Core,
    roles: frozenset[Role],
    dead_letters: KafkaDeadLetters,
    ends: LogEnds,
    stack: contextlib.AsyncExitStack,
) -> list[BatchReader]:
    """Return what reads the log; a role that is not wanted is not even imported."""
    readers: list[BatchReader] = []
    for sink in core.sinks:
        if Role(f"projections-{Store(sink.store)}") in roles:
            from infra.bootstrap.projections import runner

            reader = runner(core, sink, dead_letters, ends)
            if reader.projections:
                readers.append(reader)
    wanted = roles & {Role.TRANSCODE, Role.MODERATE, Role.VERDICTS}
    if wanted:
        from infra.bootstrap.reactions import reaction_readers

        readers += await reaction_readers(core, wanted, dead_letters, stack)
    return readers


async def _decide_for_ever(core: Core, stopping: asyncio.Event) -> None:
    """Run the command processor; after a lost transaction start anew from the log."""
    from infra.bootstrap.commands import command_processor

    wait_s = _FIRST_RETRY_S
    while not stopping.is_set():
        try:
            processor = await command_processor(core)
            async with _stopped_by(stopping, processor):
                await processor.run()
            wait_s = _FIRST_RETRY_S
        except (Unavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("command_processor_restarts", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _LAST_RETRY_S)


@contextlib.asynccontextmanager
async def _stopped_by(stopping: asyncio.Event, processor: CommandProcessor) -> AsyncIterator[None]:
    async def watch() -> None:
        await stopping.wait()
        processor.stop()

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
