"""What operators do with builds: make, verify, switch, return to, remove, pause."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from events.errors import NotFound
from infra.bootstrap.core import Core, open_core
from infra.postgres.builds import BuildRecord, BuildState
from infra.rebuild.comparing import Comparison
from infra.rebuild.helpers import build_together
from infra.rebuild.pacing import Pacer
from infra.rebuild.rebuilding import Progress as Pass
from infra.rebuild.rebuilding import Rebuild
from infra.settings import Settings
from projections.declaration import Projection
from projections.ports import Sink
from projections.registry import PROJECTIONS

EVERYTHING = "all"


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """How a rebuild goes; ``max_rate`` is in records a second, 0 for any.

    ``processes`` share the reading of the log; they end before builds are compared.
    """

    max_rate: float = 0.0
    processes: int = 1
    fresh: bool = False
    verify: bool = True
    switch: bool = True


def chosen(names: Sequence[str]) -> list[Projection]:
    """Return the declared projections of these names; ``all`` stands for every one.

    Raises:
        NotFound: there is no such projection.
    """
    if EVERYTHING in names:
        return list(PROJECTIONS)
    known = {projection.name: projection for projection in PROJECTIONS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise NotFound(
            f"No projection is called {', '.join(unknown)}; there are {', '.join(known)}",
            code="PROJECTION_NOT_FOUND",
        )
    return [known[name] for name in dict.fromkeys(names)]


async def list_builds(settings: Settings) -> list[dict[str, Any]]:
    """Return every build that exists."""
    async with open_core(settings) as core:
        await core.builds.seen(PROJECTIONS)
        declared = {projection.name: projection for projection in PROJECTIONS}
        return [
            {
                "projection": record.projection,
                "build": record.of(declared[record.projection]).tag,
                "state": record.state,
                "madeAt": record.made_at,
                "switchedAt": record.switched_at,
            }
            for record in await core.builds.records()
            if record.projection in declared
        ]


async def rebuild(
    settings: Settings, names: Sequence[str], options: RebuildOptions, out: Console | None
) -> list[dict[str, Any]]:
    """Build projections anew in one pass and let readers see them; return what became of each.

    Raises:
        NotFound: there is no such projection.
        BuildsDiffer: a new build is not what the live one is; it stays in the making.
        ReadersBusy: live readers did not stand still; the builds stay in the making.
    """
    wanted = chosen(names)
    async with open_core(settings) as core:
        if options.fresh:
            await remove_builds(core, wanted, [BuildState.BUILDING])
        targets = await begin_builds(core, wanted)
        return await _make(core, targets, options, out)


async def begin_builds(core: Core, projections: Sequence[Projection]) -> list[Projection]:
    """Return the builds to be made of projections, beside those that readers see.

    Where nothing was ever prepared, that is done first: the names that readers use must not stand
    for something half-filled.
    """
    versions = {projection.name: projection.version for projection in projections}
    for seen in await core.builds.seen(projections):
        if seen.version == versions[seen.name]:
            await _sink(core, seen).prepare([seen])
    return [(await core.builds.begin(projection))[0] for projection in projections]


async def deploy(
    settings: Settings, options: RebuildOptions, out: Console | None
) -> list[dict[str, Any]]:
    """Build and switch to every projection whose declared version readers do not see yet."""
    async with open_core(settings) as core:
        seen = {p.name: p.version for p in await core.builds.seen(PROJECTIONS)}
        changed = [p.name for p in PROJECTIONS if p.version != seen[p.name]]
    return await rebuild(settings, changed, options, out) if changed else []


async def rollback(
    settings: Settings, names: Sequence[str], *, verify: bool, out: Console | None
) -> list[dict[str, Any]]:
    """Bring the builds that were kept last to the log's end, and let readers see them again.

    Raises:
        NotFound: there is no such projection, or no build of it was kept.
    """
    wanted = chosen(names)
    async with open_core(settings) as core:
        records = await core.builds.records()
        targets = [_kept(projection, records) for projection in wanted]
        return await _make(core, targets, RebuildOptions(verify=verify), out)


def _kept(projection: Projection, records: Sequence[BuildRecord]) -> Projection:
    mine = [
        record
        for record in records
        if record.projection == projection.name
        and record.state is BuildState.KEPT
        and record.version == projection.version
    ]
    if not mine:
        raise NotFound(f"No build of {projection.name} was kept", code="BUILD_NOT_FOUND")
    return max(mine, key=lambda record: record.switched_at or record.made_at).of(projection)


async def verify(
    settings: Settings, names: Sequence[str], out: Console | None
) -> list[dict[str, Any]]:
    """Fold the log anew beside live projections, compare them, and remove what was made."""
    wanted = chosen(names)
    async with open_core(settings) as core:
        await remove_builds(core, wanted, [BuildState.BUILDING])
        targets = await begin_builds(core, wanted)
        try:
            async with _progress(out) as report:
                made = Rebuild(core, targets, report=report)
                offsets = await made.build()
                found = await made.compare()
            return [_result(target, offsets, "compared", found) for target in targets]
        finally:
            await remove_builds(core, wanted, [BuildState.BUILDING])


async def remove(settings: Settings, names: Sequence[str], state: str) -> int:
    """Remove the builds of projections that are in a state; return how many there were."""
    async with open_core(settings) as core:
        return await remove_builds(core, chosen(names), [BuildState(state)])


async def pause(settings: Settings, names: Sequence[str]) -> list[str]:
    """Have nobody run projections; return which."""
    wanted = chosen(names)
    async with open_core(settings) as core:
        for projection in wanted:
            await core.builds.pause(projection)
    return [projection.name for projection in wanted]


async def resume(settings: Settings, names: Sequence[str]) -> list[str]:
    """Have projections run again; return which."""
    wanted = chosen(names)
    async with open_core(settings) as core:
        for projection in wanted:
            await core.builds.resume(projection)
    return [projection.name for projection in wanted]


async def _make(
    core: Core, targets: Sequence[Projection], options: RebuildOptions, out: Console | None
) -> list[dict[str, Any]]:
    found: Mapping[str, Comparison] = {}
    async with _progress(out) as report:
        made = Rebuild(core, targets, Pacer(options.max_rate), report)
        offsets = await build_together(made, options.processes)
        if options.switch:
            found = await made.switch(verified=options.verify)
    state = BuildState.LIVE if options.switch else BuildState.BUILDING
    return [_result(target, offsets, state, found) for target in targets]


def _result(
    target: Projection, offsets: int, state: str, found: Mapping[str, Comparison]
) -> dict[str, Any]:
    comparison = found.get(target.name)
    return {
        "projection": target.name,
        "build": target.tag,
        "offsets": offsets,
        "compared": comparison.rows if comparison else None,
        "differing": sorted(comparison.differing) if comparison else None,
        "state": str(state),
    }


async def remove_builds(
    core: Core, projections: Sequence[Projection], states: Collection[BuildState]
) -> int:
    """Remove the builds of projections that are in one of these states, and count them.

    A build that is live is never among them, nor one that went live meanwhile.
    """
    removed = 0
    declared = {projection.name: projection for projection in projections}
    for record in await core.builds.records():
        if record.state not in states or record.projection not in declared:
            continue
        # To remove one takes a while, in which another may have gone live.
        if record in await core.builds.records():
            build = record.of(declared[record.projection])
            await _sink(core, build).drop(build)
            await core.builds.forget(build)
            removed += 1
    return removed


def _sink(core: Core, projection: Projection) -> Sink:
    return next(sink for sink in core.sinks if sink.store is projection.store)


@asynccontextmanager
async def _progress(out: Console | None) -> AsyncIterator[Any]:
    """Give what shows a pass's progress: a bar with rate and time left, or nothing."""
    if out is None:
        yield lambda _: None
        return
    columns = (
        TextColumn("reading the log"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=out) as bar:
        task = bar.add_task("", total=None, rate="")

        def report(now: Pass) -> None:
            speed = bar.tasks[task].speed or 0.0
            bar.update(task, completed=now.done, total=now.total, rate=f"{speed:,.0f}/s")

        yield report
