"""Which build of each projection readers see, and what the readers of a store are to obey.

Kept in Postgres for all four stores. Whoever switches a build has the live readers of the store
stand still for a moment (``held``), so that the new build can be brought to where the old one is.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import asyncpg
import structlog

from events.errors import Conflict, NotFound, Unavailable
from infra.postgres.database import Pool
from infra.postgres.sink import store_errors
from projections.declaration import Projection, Store

log = structlog.get_logger(__name__)

CHANNEL = "projection_orders"
#: A hold ends by itself, so that nobody stands still for somebody who died.
HOLD_S = 30.0
#: A reader that was not heard of for so long is not there any more.
GONE_S = 10.0
_OBEYED_TIMEOUT_S = 15.0
#: Readers stand still so long at most while a switch is made.
SWITCH_TIMEOUT_S = 10.0
_POLL_S = 0.01
_TAKE_POLL_S = 0.2

_ENSURE = (
    "INSERT INTO projection_builds (projection, version, build, store, state, switched_at) "
    "SELECT p, v, 0, s, 'live', now() FROM unnest($1::text[], $2::int[], $3::text[]) AS t(p, v, s) "
    "WHERE NOT EXISTS (SELECT 1 FROM projection_builds b WHERE b.projection = p "
    "AND b.state = 'live') ON CONFLICT DO NOTHING"
)
_ORDER = (
    "INSERT INTO projection_orders (store, epoch) VALUES ($1, 1) "
    "ON CONFLICT (store) DO UPDATE SET epoch = projection_orders.epoch + 1 RETURNING epoch"
)
_HOLD = (
    "INSERT INTO projection_orders AS o (store, epoch, holder, held_until) "
    "VALUES ($1, 1, $2, now() + $3 * interval '1 second') "
    "ON CONFLICT (store) DO UPDATE SET epoch = o.epoch + 1, holder = $2, "
    "held_until = now() + $3 * interval '1 second' "
    "WHERE o.held_until IS NULL OR o.held_until < now() OR o.holder = $2 RETURNING epoch"
)
_BEAT = (
    "INSERT INTO projection_readers (reader, instance, store, epoch) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (reader, instance) DO UPDATE SET epoch = $4, seen_at = now()"
)


class ReadersBusy(Unavailable):
    """The readers of a store did not come to a stand in time; nothing was switched."""

    code = "READERS_BUSY"


class BuildState(StrEnum):
    BUILDING = "building"
    LIVE = "live"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """A build that exists somewhere."""

    projection: str
    version: int
    build: int
    state: BuildState
    made_at: datetime
    switched_at: datetime | None

    def of(self, declared: Projection) -> Projection:
        """Return the declared projection as this build of it."""
        return replace(declared, version=self.version, build=self.build)


@dataclass(frozen=True, slots=True)
class Order:
    """What the readers of a store are to obey."""

    epoch: int
    held: bool


class PostgresBuilds:
    """Implements ``projections.ports.Builds``; every method raises StoreUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def seen(self, projections: Sequence[Projection]) -> list[Projection]:
        """Return the builds that readers see; what was never built is live as it is declared."""
        seen, _ = await self.standing(projections)
        return seen

    async def standing(
        self, projections: Sequence[Projection]
    ) -> tuple[list[Projection], dict[str, str]]:
        """Return what ``seen`` and ``ahead`` do, in one look."""
        live = await self._live()
        if not live.keys() >= {projection.name for projection in projections}:
            await self._ensure(projections)
            live = await self._live()
        seen = [
            replace(p, version=live[p.name]["version"], build=live[p.name]["build"])
            for p in projections
        ]
        return seen, {name: row["ahead"] for name, row in live.items() if row["ahead"] is not None}

    async def _live(self) -> dict[str, asyncpg.Record]:
        async with store_errors():
            rows = await self._pool.fetch(
                "SELECT projection, version, build, ahead FROM projection_builds "
                "WHERE state = 'live'"
            )
        return {row["projection"]: row for row in rows}

    async def _ensure(self, projections: Sequence[Projection]) -> None:
        async with store_errors():
            await self._pool.execute(
                _ENSURE,
                [projection.name for projection in projections],
                [projection.version for projection in projections],
                [str(projection.store) for projection in projections],
            )

    async def running(self, projections: Sequence[Projection]) -> list[Projection]:
        seen = await self.seen(projections)
        paused = await self.paused()
        declared = {projection.name: projection.version for projection in projections}
        for projection in seen:
            if projection.version != declared[projection.name]:
                log.warning("projection_waits_for_deploy", projection=projection.name)
        return [p for p in seen if p.name not in paused and p.version == declared[p.name]]

    async def note_ahead(self, projection: Projection, reason: str) -> None:
        """Have nobody run a build that claims what the log does not hold."""
        async with store_errors():
            await self._pool.execute(
                "UPDATE projection_builds SET ahead = $4 "
                "WHERE projection = $1 AND version = $2 AND build = $3",
                projection.name,
                projection.version,
                projection.build,
                reason,
            )

    async def ahead(self) -> dict[str, str]:
        """Return the projections whose live build claims what the log does not hold."""
        _, ahead = await self.standing(())
        return ahead

    async def paused(self) -> frozenset[str]:
        """Return the projections that operators paused."""
        async with store_errors():
            rows = await self._pool.fetch("SELECT projection FROM projection_pauses")
        return frozenset(row["projection"] for row in rows)

    async def pause(self, projection: Projection) -> None:
        """Have nobody run a projection until it is resumed."""
        async with store_errors():
            await self._pool.execute(
                "INSERT INTO projection_pauses (projection) VALUES ($1) ON CONFLICT DO NOTHING",
                projection.name,
            )
        await self._changed(projection.store)

    async def resume(self, projection: Projection) -> None:
        """Have a projection run again from where it is; what is ahead still is noted again."""
        async with store_errors():
            await self._pool.execute(
                "DELETE FROM projection_pauses WHERE projection = $1", projection.name
            )
            await self._pool.execute(
                "UPDATE projection_builds SET ahead = NULL WHERE projection = $1", projection.name
            )
        await self._changed(projection.store)

    async def records(self) -> list[BuildRecord]:
        """Return every build that exists, by projection, newest last."""
        async with store_errors():
            rows = await self._pool.fetch(
                "SELECT projection, version, build, state, made_at, switched_at "
                "FROM projection_builds ORDER BY projection, version, build"
            )
        return [BuildRecord(**{**row, "state": BuildState(row["state"])}) for row in rows]

    async def begin(self, declared: Projection) -> tuple[Projection, bool]:
        """Return the build to be made of a projection, and whether it was begun before."""
        # Where nobody has run it yet, the first build is the live one.
        await self.seen([declared])
        mine = [r for r in await self.records() if r.projection == declared.name]
        for record in mine:
            if record.state is BuildState.BUILDING and record.version == declared.version:
                return record.of(declared), True
        known = [record.build for record in mine if record.version == declared.version]
        target = replace(declared, build=max(known, default=-1) + 1)
        async with store_errors():
            begun = await self._pool.execute(
                "INSERT INTO projection_builds (projection, version, build, store, state) "
                "VALUES ($1, $2, $3, $4, 'building') ON CONFLICT DO NOTHING",
                target.name,
                target.version,
                target.build,
                str(target.store),
            )
        # Where somebody else began one meanwhile, that is the one.
        return (target, False) if begun == "INSERT 0 1" else await self.begin(declared)

    async def forget(self, projection: Projection) -> None:
        """Forget a build that readers do not see, and which keys wait in it."""
        async with store_errors(), self._pool.acquire() as connection, connection.transaction():
            gone = await connection.execute(
                "DELETE FROM projection_builds WHERE projection = $1 AND version = $2 "
                "AND build = $3 AND state <> 'live'",
                projection.name,
                projection.version,
                projection.build,
            )
            if gone == "DELETE 1":
                await connection.execute(
                    "DELETE FROM parked_keys WHERE projection = $1 AND build = $2",
                    projection.name,
                    projection.tag,
                )

    async def went_live(self, projection: Projection) -> None:
        """Note that readers see this build now; the former one is kept.

        Raises:
            NotFound: somebody removed it meanwhile; the former one stays.
        """
        async with store_errors(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "UPDATE projection_builds SET state = 'kept' "
                "WHERE projection = $1 AND state = 'live'",
                projection.name,
            )
            done = await connection.execute(
                "UPDATE projection_builds SET state = 'live', switched_at = now() "
                "WHERE projection = $1 AND version = $2 AND build = $3",
                projection.name,
                projection.version,
                projection.build,
            )
            if done != "UPDATE 1":
                raise NotFound(
                    f"The build {projection.tag} of {projection.name} was removed meanwhile",
                    code="BUILD_NOT_FOUND",
                )

    async def order(self, store: Store) -> Order:
        """Return what the readers of a store are to obey."""
        async with store_errors():
            row = await self._pool.fetchrow(
                "SELECT epoch, coalesce(held_until > now(), false) AS held "
                "FROM projection_orders WHERE store = $1",
                str(store),
            )
        return Order(row["epoch"], row["held"]) if row else Order(0, held=False)

    async def beat(self, reader: str, instance: str, store: Store, epoch: int) -> None:
        """Note that a reader is alive, and which order it obeys."""
        async with store_errors():
            await self._pool.execute(_BEAT, reader, instance, str(store), epoch)

    async def leave(self, instance: str) -> None:
        """Note that the readers of a process are gone."""
        async with store_errors():
            await self._pool.execute(
                "DELETE FROM projection_readers WHERE instance = $1 "
                "OR seen_at < now() - interval '1 hour'",
                instance,
            )

    @asynccontextmanager
    async def held(self, store: Store) -> AsyncIterator[None]:
        """Have all live readers of a store stand still for as long as the body runs.

        Raises:
            ReadersBusy: one did not come to a stand in time.
            Conflict: somebody else has them stand still.
        """
        holder = str(uuid.uuid4())
        epoch = await self._take(store, holder)
        try:
            await self._notify()
            await self._obeyed(store, epoch)
            async with asyncio.timeout(SWITCH_TIMEOUT_S):
                yield
        except TimeoutError:
            raise ReadersBusy("the switch took longer than readers may stand still") from None
        finally:
            async with store_errors():
                await self._pool.execute(
                    "UPDATE projection_orders SET held_until = NULL WHERE store = $1 "
                    "AND holder = $2",
                    str(store),
                    holder,
                )
            await self._changed(store)

    async def _take(self, store: Store, holder: str) -> int:
        """Take the hold of a store, once whoever has it ends, or is known to have died."""
        until = asyncio.get_running_loop().time() + HOLD_S + GONE_S
        while asyncio.get_running_loop().time() < until:
            async with store_errors():
                epoch: int | None = await self._pool.fetchval(_HOLD, str(store), holder, HOLD_S)
            if epoch is not None:
                return epoch
            await asyncio.sleep(_TAKE_POLL_S)
        raise Conflict(f"Somebody else keeps switching builds in {store}", code="STORE_HELD")

    async def _obeyed(self, store: Store, epoch: int) -> None:
        """Wait until every reader of the store that is alive obeys the order."""
        try:
            async with asyncio.timeout(_OBEYED_TIMEOUT_S), store_errors():
                while await self._pool.fetchval(  # noqa: ASYNC110 - others obey
                    "SELECT count(*) FROM projection_readers WHERE store = $1 AND epoch < $2 "
                    "AND seen_at > now() - $3 * interval '1 second'",
                    str(store),
                    epoch,
                    GONE_S,
                ):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise ReadersBusy(f"a reader of {store} does not come to a stand") from None

    async def _changed(self, store: Store) -> None:
        async with store_errors():
            await self._pool.execute(_ORDER, str(store))
        await self._notify()

    async def _notify(self) -> None:
        async with store_errors():
            await self._pool.execute(f"NOTIFY {CHANNEL}")

    @asynccontextmanager
    async def changes(self, listeners: int) -> AsyncIterator[Sequence[asyncio.Event]]:
        """Give each listener an event that is set whenever an order changed."""
        events = [asyncio.Event() for _ in range(listeners)]

        def heard(*_: object) -> None:
            for event in events:
                event.set()

        async with store_errors(), self._pool.acquire() as connection:
            await connection.add_listener(CHANNEL, heard)
            try:
                yield events
            finally:
                await connection.remove_listener(CHANNEL, heard)
