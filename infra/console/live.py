"""What changes while a page is open, as server-sent events."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

from events.errors import ErrorKind, StreamHubError, Unauthenticated
from infra.console.overview import Overview, View
from infra.console.parts import ConsoleParts, Parts
from infra.console.rendering import number, seconds
from infra.console.session import admin_of
from infra.postgres.operator_tasks import Task, TaskState

router = APIRouter()

_LOOK_S = 1.0
#: Proxies and browsers take a silent connection for a dead one.
_SILENCE_S = 10.0
#: A session that was ended elsewhere stops seeing so soon.
_SESSION_S = 15.0
#: A browser connects anew after this; nothing stays open for ever.
_LIFE_S = 300.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Look = Callable[[], Coroutine[Any, Any, dict[str, Any]]]


@router.get("/live/{what}", dependencies=[Depends(admin_of)])
async def live(
    what: Literal["projections", "work"], request: Request, parts: Parts
) -> StreamingResponse:
    """Send what a page shows each time it changes."""
    look = _projections(parts) if what == "projections" else _work(parts)
    stream = _stream(request, parts, look)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)


async def _stream(request: Request, parts: ConsoleParts, look: Look) -> AsyncIterator[str]:
    began = sent_at = checked_at = time.monotonic()
    sent = b""
    yield "retry: 2000\n\n"
    while time.monotonic() - began < _LIFE_S and not parts.stopping():
        if time.monotonic() - checked_at > _SESSION_S:
            checked_at = time.monotonic()
            if not await _still_admin(request, parts):
                yield "event: ended\ndata: {}\n\n"
                return
        data = orjson.dumps(await _looked(look))
        if data != sent:
            sent, sent_at = data, time.monotonic()
            yield f"data: {data.decode()}\n\n"
        elif time.monotonic() - sent_at > _SILENCE_S:
            sent_at = time.monotonic()
            yield ": nothing new\n\n"
        await asyncio.sleep(_LOOK_S)


async def _looked(look: Look) -> dict[str, Any]:
    try:
        return {**await look(), "problem": ""}
    except StreamHubError as error:
        return {"problem": error.message}


async def _still_admin(request: Request, parts: ConsoleParts) -> bool:
    try:
        await admin_of(request, parts)
    except Unauthenticated:
        return False
    except StreamHubError as error:
        return error.kind is ErrorKind.UNAVAILABLE
    return True


def _projections(parts: ConsoleParts) -> Look:
    async def look() -> dict[str, Any]:
        tasks = await parts.tasks.store.recent(1)
        return {**changes(await parts.overview.read()), **_news(tasks)}

    return look


def _work(parts: ConsoleParts) -> Look:
    async def look() -> dict[str, Any]:
        tasks = await parts.tasks.store.recent(1)
        return {"cells": {}, "revision": _digest(_facts(tasks)), **_news(tasks)}

    return look


def changes(overview: Overview) -> dict[str, Any]:
    """Return the texts of cells by name, and a revision that rises with anything else."""
    cells: dict[str, str] = {}
    shape: list[Any] = []
    for view in overview.views:
        cells |= _cells(view)
        tags = [(build.tag, build.record.state) for build in view.builds]
        shape.append((view.name, view.state, tags))
    return {"cells": cells, "revision": _digest(shape)}


def _cells(view: View) -> dict[str, str]:
    name = view.name
    cells = {
        f"{name}.lag_events": number(view.lag_events),
        f"{name}.lag_seconds": seconds(view.lag_seconds),
        f"{name}.state": view.state,
    }
    if view.progress is not None:
        cells[f"{name}.progress"] = f"{view.progress.percent} %"
        cells[f"{name}.done"] = number(view.progress.done)
        cells[f"{name}.total"] = number(view.progress.total)
    for lag in view.lags:
        place = f"{name}.{lag.source.topic}.{lag.source.partition}"
        cells[f"{place}.position"] = number(lag.position)
        cells[f"{place}.end"] = number(lag.end)
        cells[f"{place}.events"] = number(lag.events)
        cells[f"{place}.seconds"] = seconds(lag.seconds)
    return cells


def _facts(tasks: list[Task]) -> list[Any]:
    return [(task.id, task.state) for task in tasks]


def _news(tasks: list[Task]) -> dict[str, str]:
    """Return the last thing that happened, for those who hear a page."""
    if not tasks:
        return {"news": ""}
    task = tasks[0]
    ended = "under way" if task.state is TaskState.RUNNING else f"{task.state}: {task.told}"
    return {"news": f"{task.action} of {task.subject} {ended}"}


def _digest(facts: Any) -> str:
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()[:16]
