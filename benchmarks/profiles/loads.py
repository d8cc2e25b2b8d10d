"""Puts load on a StreamHub, of whatever revision, and says which process is to be looked at.

``benchmarks.profiles`` runs this file by its path, with the folder of a checkout first on Python's
path: every ``import`` below is of that checkout. So this file asks for nothing that the benchmarks
had not at ``ad50f27``, before the work on speed.

It speaks in lines. ``{"pid": 1, "ends": false}`` on standard output means that this process is
under load, and is answered by a line on standard input when enough was seen; where ``ends`` is
true, the process ends by itself. ``{"done": 2, "seconds": 3}`` says what was done meanwhile; of
work that ends, it is all of it, and ``seconds`` is null.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from confluent_kafka import Producer

from benchmarks.commands.load import Latencies, closed_loop, open_loop
from benchmarks.commands.system import System, environment, whole_system
from benchmarks.http_client import connections, request
from benchmarks.live_projection import log
from benchmarks.live_projection.topic import database
from benchmarks.live_projection.views import Views
from benchmarks.query_api.serving import running
from commands.engagement import LikeVideo
from commands.envelope import CommandEnvelope, command_record
from events import clock
from events.codec import Headers
from events.privacy import KeyRing
from infra.bootstrap.core import open_core
from infra.everything import apply_all_topics
from infra.kafka.ends import LogEnds
from infra.rebuild.operations import begin_builds
from infra.rebuild.rebuilding import Rebuild
from infra.settings import Settings
from projections.watch_page import WATCH_PAGE
from schemas.catalogue import domain_named

LIVE_VIEWS, REBUILT_VIEWS, BACKLOG = 400_000, 600_000, 60_000
PEOPLE, VIDEOS, CONNECTIONS = 20, 20, 64
LIKES_A_SECOND, READERS = 200.0, 16
WARM_UP_S = 15.0
_DOMAIN = domain_named("engagement")
_TIMEOUT_S = 300.0

Load = Callable[[Mapping[str, str], Path, Sequence[str]], Coroutine[Any, Any, None]]
#: One second of load, from which ``Latencies`` come.
Second = Callable[[], Awaitable[Latencies]]


def tell(**what: float | None) -> None:
    print(json.dumps(what), flush=True)


async def enough() -> None:
    """Wait until the caller has seen enough."""
    await asyncio.to_thread(sys.stdin.readline)


async def live_projection(servers: Mapping[str, str], folder: Path, _: Sequence[str]) -> None:
    """Count views as they stand in the log, by a projection worker of one read model."""
    await log.make_topics(servers["kafka"])
    log.append(servers["kafka"], Views(LIVE_VIEWS))
    async with database(servers["postgres"], "profile") as url:
        options = ["--kafka", servers["kafka"], "--postgres", url, "--run", "profile"]
        options += ["--events", str(LIVE_VIEWS)]
        module = "benchmarks.live_projection.contestant"
        await _ends_by_itself(module, ["streamhub", *options], folder)
        tell(done=LIVE_VIEWS, seconds=None)
        await enough()


async def rebuild(servers: Mapping[str, str], folder: Path, _: Sequence[str]) -> None:
    """Build the watch page from the log."""
    os.environ.update(environment(servers, folder))
    await log.make_topics(servers["kafka"])
    log.append(servers["kafka"], Views(REBUILT_VIEWS))
    await _ends_by_itself("", ["-P", __file__, "build"], folder)
    tell(done=REBUILT_VIEWS, seconds=None)
    await enough()


async def build(*_: Any) -> None:
    """Build the watch page in this process, as ``streamhub projections rebuild`` does."""
    try:
        from infra.collector import relieve_collector
        from infra.memory import keep_freed_memory
    except ImportError:
        pass  # Until it kept what it freed, a rebuild left its collector alone as well.
    else:
        relieve_collector()
        keep_freed_memory()
    async with open_core(Settings()) as core:
        targets = await begin_builds(core, (WATCH_PAGE,))
        await Rebuild(core, targets).build()


async def _ends_by_itself(module: str, arguments: Sequence[str], folder: Path) -> None:
    """Run a module, or a file, to its end, and name its process at its start."""
    command = [sys.executable, *(["-m", module] if module else []), *arguments]
    with (folder / "load.log").open("ab") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    tell(pid=process.pid, ends=True)
    if await process.wait() != 0:
        raise SystemExit((folder / "load.log").read_text(encoding="utf-8")[-4_000:])


async def decide(servers: Mapping[str, str], folder: Path, _: Sequence[str]) -> None:
    """Have a command worker work off likes that waited for it."""
    os.environ.update(environment(servers, folder))
    settings = Settings()
    await apply_all_topics(settings)
    async with open_core(settings) as core:
        records = [_like(core.keys) for _ in range(BACKLOG)]
        await asyncio.to_thread(_produce, core.places.kafka, records)
        ends = LogEnds(core.places.kafka)
        worker = running("infra.cli", ["worker", "commands"], os.environ, folder / "load.log")
        try:
            begun = await _outcomes(ends)
            async with worker as process, asyncio.timeout(_TIMEOUT_S):
                tell(pid=process.pid, ends=True)
                while await _outcomes(ends) - begun < BACKLOG:  # noqa: ASYNC110 - Kafka tells nobody
                    await asyncio.sleep(0.1)
        finally:
            await ends.close()
    tell(done=BACKLOG, seconds=None)
    await enough()


async def _outcomes(ends: LogEnds) -> int:
    return sum((await ends.ends(await ends.partitions([_DOMAIN.outcomes]))).values())


def _like(keys: KeyRing) -> tuple[str, bytes, Headers]:
    video_id, command_id = clock.new_id(), clock.new_id()
    command = LikeVideo(video_id=video_id, creator_id=video_id, user_id=clock.new_id())
    envelope = CommandEnvelope(command, command_id, clock.now(), command_id, command_id)
    body, headers = command_record(envelope, keys)
    return video_id, body, headers


def _produce(bootstrap: str, records: Sequence[tuple[str, bytes, Headers]]) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": len(records) + 1,
            "compression.type": "lz4",
        }
    )
    for key, body, headers in records:
        producer.produce(_DOMAIN.commands, value=body, key=key, headers=list(headers))
    producer.flush(60.0)


async def whole(servers: Mapping[str, str], folder: Path, paths: Sequence[str]) -> None:
    """Run everything; have people like videos, then have watch pages read, as the paths ask."""
    async with whole_system(servers, folder, PEOPLE, VIDEOS) as system:
        for path in paths:
            name = "projections" if path == "projections" else "api"
            requests = _pages(system) if path == "watch-page" else _likes(system)
            async with requests as second:
                await _under_load(second, system.processes[name].pid)


async def _under_load(second: Second, pid: int) -> None:
    """Load second after second until the caller has seen enough."""
    started = time.perf_counter()
    while time.perf_counter() - started < WARM_UP_S:
        await second()
    tell(pid=pid, ends=False)
    seen = asyncio.create_task(enough())
    done, started = 0, time.perf_counter()
    while not seen.done():
        latencies = await second()
        done += latencies.sent - latencies.failed
    tell(done=done, seconds=time.perf_counter() - started)


@asynccontextmanager
async def _likes(system: System) -> AsyncIterator[Second]:
    """Likes of everybody of every video, then all taken back, and again; open loop.

    A second begins when the one before is answered.
    """
    numbers = itertools.count()
    async with connections(system.url, CONNECTIONS) as api:

        async def send(_: int) -> bool:
            return (await api.send(_like_request(system, next(numbers)))).status == 200

        yield lambda: open_loop(send, LIKES_A_SECOND, 1.0)


def _like_request(system: System, number: int) -> bytes:
    turn, person = divmod(number, PEOPLE)
    method = "DELETE" if turn // VIDEOS % 2 else "POST"
    path = f"/api/v1/videos/{system.videos[turn % VIDEOS]}/like"
    return request(method, path, {"Authorization": f"Bearer {system.tokens[person]}"})


@asynccontextmanager
async def _pages(system: System) -> AsyncIterator[Second]:
    """Watch pages of all videos in turn, closed loop."""
    pages = [request("GET", f"/api/v1/videos/{video_id}") for video_id in system.videos]
    async with connections(system.url, READERS) as api:

        async def read(number: int) -> bool:
            return (await api.send(pages[number % len(pages)])).status == 200

        yield lambda: closed_loop(read, READERS, 1.0)


LOADS: Mapping[str, Load] = {
    "live-projection": live_projection,
    "rebuild": rebuild,
    "decide": decide,
    "whole": whole,
    "build": build,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--servers", type=json.loads, default={})
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="streamhub-profile-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(LOADS[chosen.load](chosen.servers, Path(folder), chosen.paths))


if __name__ == "__main__":
    main()
