"""Stores that do not stand where they should: beyond the end of the log, or back behind a step.

A store stands beyond the log when the log was restored from an older backup, or the store from
another installation: what it shows was never in this log, and what comes would be taken for known
until the log has grown past it. So such a build is noted as soon as it is met, and is not run
again before it was built anew, however long the log is by then.

A store that went back was restored itself. Whoever applies the next step finds that out; where no
next event comes, only a look at the positions does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import structlog

from events.errors import Conflict, StreamHubError, Unavailable
from infra.kafka.ends import LogEnds
from infra.lag import beyond
from infra.postgres.builds import PostgresBuilds
from projections.declaration import Projection
from projections.ports import Sink, StoreUnavailable
from projections.runner import Runner

log = structlog.get_logger(__name__)

_INTERVAL_S = 5.0


class StoreAhead(Conflict):
    """A build claims to have applied what the log does not hold; only a new one can go on."""

    code = "STORE_AHEAD"


class StoreWentBack(StreamHubError):
    """A store lost steps that were applied; start anew from where it stands."""

    code = "STORE_WENT_BACK"


def refusal(ahead: dict[str, str]) -> StoreAhead:
    """Return the error that names builds which are ahead, and what to do."""
    told = "; ".join(ahead[name] for name in sorted(ahead))
    command = f"projections rebuild --fresh {' '.join(sorted(ahead))}"
    return StoreAhead(f"{told}: call 'streamhub {command}', unless the log can be brought back")


async def builds_ahead(
    sink: Sink, projections: Sequence[Projection], ends: LogEnds
) -> dict[str, str]:
    """Return the projections of a store that are beyond the end of the log, with where.

    Raises:
        StoreUnavailable: the store, or Kafka, does not say.
    """
    # Positions first: an end that is read later can only be further on.
    stored = await sink.positions(projections)
    topics = sorted({topic for projection in projections for topic in projection.topics()})
    try:
        known = await ends.ends(await ends.partitions(topics))
    except Unavailable as error:
        raise StoreUnavailable(f"the log's ends are unknown: {error.message}") from error
    return beyond(projections, stored, known)


async def note_ahead(
    builds: PostgresBuilds, sink: Sink, projections: Sequence[Projection], ends: LogEnds
) -> dict[str, str]:
    """Note the builds of a store that are beyond the end of the log; return them."""
    found = await builds_ahead(sink, projections, ends)
    for projection in projections:
        if projection.name in found:
            await builds.note_ahead(projection, found[projection.name])
    return found


class BuildsInLog:
    """Implements ``projections.ports.Builds`` without the builds that are ahead of the log."""

    def __init__(self, builds: PostgresBuilds, sink: Sink, ends: LogEnds) -> None:
        self._builds = builds
        self._sink = sink
        self._ends = ends

    async def running(self, projections: Sequence[Projection]) -> list[Projection]:
        chosen = await self._builds.running(projections)
        # A store in which nothing was ever prepared cannot say where it stands.
        await self._sink.prepare(chosen)
        await note_ahead(self._builds, self._sink, chosen, self._ends)
        ahead = await self._builds.ahead()
        for name in ahead.keys() & {projection.name for projection in chosen}:
            log.error("projection_ahead", projection=name, reason=ahead[name])
        return [projection for projection in chosen if projection.name not in ahead]


@runtime_checkable
class Remembering(Protocol):
    """A reader that can bring its position back by itself."""

    async def remember(self) -> None:
        """Note again what the store forgot; raises StoreUnavailable."""


class StoreWatch:
    """Looks whether the stores of some readers stand where those have brought them."""

    def __init__(
        self,
        builds: PostgresBuilds,
        ends: LogEnds,
        runners: Sequence[tuple[Sink, Runner]],
        reactions: Sequence[Remembering],
    ) -> None:
        self._builds = builds
        self._ends = ends
        self._runners = runners
        self._reactions = reactions

    async def run(self) -> None:
        """Look until one does not; while a store is away there is nothing to see.

        Raises:
            StoreWentBack: it lost steps. The process must start anew.
            StoreAhead: the log is not the one that the store was filled from.
        """
        while True:
            await asyncio.sleep(_INTERVAL_S)
            looks = [self._look(sink, runner) for sink, runner in self._runners]
            for look in (*looks, *(reaction.remember() for reaction in self._reactions)):
                with contextlib.suppress(Unavailable):
                    await look

    async def _look(self, sink: Sink, runner: Runner) -> None:
        # Before the store is read: it can only be further on by then.
        projections, believed = runner.projections, runner.believed()
        stored = await sink.positions(projections)
        for (name, source), position in believed.items():
            found = stored.get(name, {}).get(source, 0)
            if found < position:
                raise StoreWentBack(
                    f"{name} was brought to {position} of {source.topic}/{source.partition}, and "
                    f"{sink.store} has it at {found}"
                )
        ahead = await note_ahead(self._builds, sink, projections, self._ends)
        if ahead:
            raise refusal(ahead)
