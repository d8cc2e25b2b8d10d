"""Stores that have no room left, the way each of them meets a full disk, and room again.

Nobody may mount a small disk without rights. So PostgreSQL may not let its files grow
(``RLIMIT_FSIZE``), Redis cannot save or is out of memory, OpenSearch finds its disk over the flood
stage, and ClickHouse's tables want more room than there is. A really small disk under ClickHouse is
in ``tests/native/clickhouse``.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from infra.bootstrap.core import Core
from infra.clickhouse.client import ClickHouse, database_name
from infra.native.unprivileged import unprivileged_argv
from projections.followers import FOLLOWERS
from tests.support.servers import ServerControl
from tests.support.waiting import eventually

#: The log that PostgreSQL writes ahead is in files of this size, which must not be too large.
_FILE_BYTES = 16 << 20
_STRANGER = "00000000-0000-4000-8000-%"
_UNLIMITED = -1
#: OpenSearch looks at its disk every ten seconds, and before that every thirty.
_WATERMARK_TIMEOUT_S = 60.0
_DISK = "cluster.routing.allocation.disk"

_MIN_FREE = "min_free_disk_bytes_to_perform_insert"
_EXA = 10**18

Full = Callable[[Core, ServerControl], AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def postgres(core: Core, control: ServerControl) -> AsyncIterator[None]:
    """Let the table of followers, which parks what it cannot digest, grow no more."""
    [live] = await core.builds.seen([FOLLOWERS])
    table = f"subscriptions__{live.tag}"
    # Few rows to a page, so that the next ones soon need another.
    await core.pool.execute(f"ALTER TABLE {table} SET (fillfactor = 10)")
    while await core.pool.fetchval(f"SELECT pg_relation_size('{table}')") <= _FILE_BYTES:
        await core.pool.execute(
            f"INSERT INTO {table} (subscriber_id, creator_id, subscribed_at) SELECT "
            f"overlay(gen_random_uuid()::text placing '{_STRANGER[:-1]}' from 1)::uuid, "
            "gen_random_uuid(), now() FROM generate_series(1, 10000)"
        )
    await core.pool.execute("CHECKPOINT")
    postmaster = _pid(control, "postgres")
    backends = [
        row["pid"]
        for row in await core.pool.fetch(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
        )
    ]
    _limit([postmaster, *backends], _FILE_BYTES)
    try:
        yield
    finally:
        _limit([postmaster, *_children(postmaster)], _UNLIMITED)
        await core.pool.execute(f"ALTER TABLE {table} RESET (fillfactor)")
        await core.pool.execute(f"DELETE FROM {table} WHERE subscriber_id::text LIKE $1", _STRANGER)
        await core.pool.execute(f"VACUUM FULL {table}")


@contextlib.asynccontextmanager
async def redis_disk(core: Core, control: ServerControl) -> AsyncIterator[None]:
    """Let Redis fail to save: its folder is gone."""
    gone = control.folder("redis") / "gone"
    async with _redis(core) as server:
        folder = (await server.config_get("dir"))["dir"]
        gone.mkdir()
        await server.config_set("dir", str(gone))
        gone.rmdir()
        await server.config_set("save", "1 1")
        try:
            yield
        finally:
            await server.config_set("save", "")
            await server.config_set("dir", folder)


@contextlib.asynccontextmanager
async def redis_memory(core: Core, control: ServerControl) -> AsyncIterator[None]:
    """Let Redis hold more than it may."""
    async with _redis(core) as server:
        await server.config_set("maxmemory", 1)
        try:
            yield
        finally:
            await server.config_set("maxmemory", 0)


def _redis(core: Core) -> Any:
    return Redis.from_url(core.places.redis, decode_responses=True)


@contextlib.asynccontextmanager
async def opensearch(core: Core, control: ServerControl) -> AsyncIterator[None]:
    """Let OpenSearch want more room than any disk has, until it has blocked its indexes."""
    async with httpx.AsyncClient(base_url=core.places.opensearch, timeout=30.0) as server:
        try:
            await _watermarks(server, ("903tb", "902tb", "901tb"))
            await eventually(
                "indexes blocked", lambda: _is_blocked(server), _WATERMARK_TIMEOUT_S, 0.5
            )
            yield
        finally:
            await _watermarks(server, ("3mb", "2mb", "1mb"))

            async def free() -> bool:
                return not await _is_blocked(server)

            await eventually("indexes free again", free, _WATERMARK_TIMEOUT_S, 0.5)
            marks = [f"watermark.{name}" for name in ("low", "high", "flood_stage")]
            names = [f"{_DISK}.{name}" for name in ("threshold_enabled", *marks)]
            # That no index can be made outlasts the look at the disk that would lift it.
            await _settings(server, dict.fromkeys([*names, "cluster.blocks.create_index"]))


@contextlib.asynccontextmanager
async def clickhouse(core: Core, control: ServerControl) -> AsyncIterator[None]:
    """Let every table of ClickHouse take rows only where any disk is too small."""
    server = ClickHouse(core.places.clickhouse, database_name(core.settings.namespace))
    tables = await server.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine LIKE '%MergeTree'"
    )
    try:
        for table in tables:
            await server.command(f"ALTER TABLE {table['name']} MODIFY SETTING {_MIN_FREE} = {_EXA}")
        yield
    finally:
        for table in tables:
            await server.command(f"ALTER TABLE {table['name']} RESET SETTING {_MIN_FREE}")
        await server.close()


async def _watermarks(server: httpx.AsyncClient, marks: tuple[str, str, str]) -> None:
    low, high, flood = marks
    await _settings(
        server,
        {
            "cluster.info.update.interval": "10s",
            f"{_DISK}.threshold_enabled": True,
            f"{_DISK}.watermark.low": low,
            f"{_DISK}.watermark.high": high,
            f"{_DISK}.watermark.flood_stage": flood,
        },
    )


async def _settings(server: httpx.AsyncClient, settings: dict[str, Any]) -> None:
    answer = await server.put("/_cluster/settings", json={"persistent": settings})
    assert answer.status_code == 200, answer.text


async def _is_blocked(server: httpx.AsyncClient) -> bool:
    """Say whether indexes take no writes."""
    answer = await server.get("/_all/_settings", params={"filter_path": "*.settings.index.blocks"})
    return answer.status_code == 200 and bool(answer.json())


def _pid(control: ServerControl, name: str) -> int:
    pid = control.status(name).pid
    assert pid is not None, f"{name} does not run"
    return pid


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in children.split()]


def _limit(pids: list[int], size: int) -> None:
    """Set how large files may grow by the hand of processes; what they may allow themselves stays.

    PostgreSQL may run as somebody else, whose limits only that user sets.
    """
    script = (
        "import contextlib, resource, sys\n"
        "size, *pids = map(int, sys.argv[1:])\n"
        "for pid in pids:\n"
        "    with contextlib.suppress(ProcessLookupError):\n"
        "        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)\n"
        "        limits = (size if size >= 0 else hard, hard)\n"
        "        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)\n"
    )
    command = (sys.executable, "-c", script, str(size), *map(str, pids))
    whose = Path(f"/proc/{pids[0]}").stat().st_uid
    mine = Path("/proc/self").stat().st_uid
    subprocess.run(command if whose == mine else unprivileged_argv(command), check=True)


FULL: dict[str, Full] = {
    "postgres": postgres,
    "redis that cannot save": redis_disk,
    "redis without memory": redis_memory,
    "opensearch": opensearch,
    "clickhouse": clickhouse,
}
