"""The pages of projections: how they are, and what operators do with them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from fastapi import APIRouter
from starlette.responses import Response

from events.errors import Conflict, Invalid, NotFound
from infra.console.overview import View
from infra.console.parts import ConsoleParts, Parts
from infra.console.rendering import page, seen
from infra.console.session import AnAdmin, Form, FromHere, said
from infra.postgres.builds import BuildState
from infra.rebuild.operations import chosen, remove_builds
from projections.declaration import Projection

log = structlog.get_logger(__name__)

router = APIRouter()

_RATE = re.compile(r"\d{1,7}")


async def _pause(parts: ConsoleParts, projection: Projection) -> str:
    await parts.core.builds.pause(projection)
    return "readers see it as it is, until it is resumed"


async def _resume(parts: ConsoleParts, projection: Projection) -> str:
    await parts.core.builds.resume(projection)
    return "it goes on from where it was"


async def _cancel(parts: ConsoleParts, projection: Projection) -> str:
    """Remove the build in the making, once whoever makes it has stopped."""
    if await parts.tasks.store.ask_to_stop(projection.name):
        await parts.tasks.store.stopped(projection.name)
    count = await remove_builds(parts.core, [projection], [BuildState.BUILDING])
    return f"builds removed: {count}"


async def _prune(parts: ConsoleParts, projection: Projection) -> str:
    await _nothing_runs(parts, projection)
    count = await remove_builds(parts.core, [projection], [BuildState.KEPT])
    return f"builds removed: {count}"


async def _nothing_runs(parts: ConsoleParts, projection: Projection) -> None:
    if await parts.tasks.store.running(projection.name):
        raise Conflict(f"Something is under way with {projection.name}; wait, or cancel it")


@dataclass(frozen=True, slots=True)
class AtOnce:
    """What is done while the browser waits, and what it came to."""

    act: Callable[[ConsoleParts, Projection], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class InBackground:
    """A command of ``streamhub projections`` that takes its time, and its switches by field."""

    command: str
    switches: Mapping[str, str]


ACTIONS: Mapping[str, AtOnce | InBackground] = {
    "rebuild": InBackground("rebuild", {"fresh": "--fresh", "unverified": "--no-verify"}),
    "rollback": InBackground("rollback", {"verified": "--verify"}),
    "pause": AtOnce(_pause),
    "resume": AtOnce(_resume),
    "cancel": AtOnce(_cancel),
    "prune": AtOnce(_prune),
}


@router.get("/")
async def overview(parts: Parts, admin: AnAdmin) -> Response:
    """Show every projection, and what operators did last."""
    shown = await parts.overview.read()
    tasks = await parts.tasks.store.recent(10)
    context = {"admin": admin.id, "views": shown.views, "tasks": tasks, "section": "projections"}
    return page("projections.html", context)


@router.get("/projections/{name}")
async def one(name: str, parts: Parts, admin: AnAdmin) -> Response:
    """Show a projection: builds, lag by partition, actions."""
    view = await _view(parts, name)
    tasks = [task for task in await parts.tasks.store.recent(100) if task.subject == name]
    context = {
        "admin": admin.id,
        "view": view,
        "tasks": tasks[:10],
        "section": "projections",
    }
    return page("projection.html", context)


async def _view(parts: ConsoleParts, name: str) -> View:
    # What an operator has just done must be seen.
    view = (await parts.overview.read(fresh_s=0.0)).named(name)
    if view is None:
        raise NotFound(f"No projection is called {name}")
    return view


@router.post("/projections/{name}/{action}", dependencies=[FromHere])
async def act(name: str, action: str, parts: Parts, admin: AnAdmin, form: Form) -> Response:
    """Do something with a projection; what takes long goes on behind the answer."""
    [projection] = chosen([name])[:1]
    wanted = ACTIONS.get(action)
    if wanted is None or projection.name != name:
        raise NotFound(f"Nobody can {action} {name}")
    log.info("console_action", action=action, subject=name, actor=admin.id)
    match wanted:
        case AtOnce():
            told = await wanted.act(parts, projection)
            await parts.tasks.store.note(action, name, admin.id, told)
        case InBackground():
            words = ["projections", wanted.command, name, "--json", *_switches(wanted, form)]
            await parts.tasks.start(action, name, words, admin.id)
    parts.overview.forget()
    return seen(f"/projections/{name}#told")


def _switches(wanted: InBackground, form: dict[str, list[str]]) -> list[str]:
    words = [switch for field, switch in wanted.switches.items() if said(form, field)]
    rate = said(form, "rate")
    if rate and not _RATE.fullmatch(rate):
        raise Invalid.field("records a second", f"'{rate}' is no whole number up to 9 999 999")
    if rate and wanted.command == "rebuild":
        words += ["--max-rate", rate]
    return words
