"""The pages of dead letters: found, looked at, retried, discarded."""

from __future__ import annotations

import math
from typing import Annotated, Any
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from events.deadletters import LetterState
from events.errors import Invalid
from infra.console.parts import ConsoleParts, Parts
from infra.console.rendering import page, seen
from infra.console.session import Admin, AnAdmin, Form, FromHere, said
from infra.dead_letters import showing
from infra.dead_letters.deciding import Desk
from infra.dead_letters.topic import open_letters, read_letters
from infra.postgres.operator_tasks import Task

log = structlog.get_logger(__name__)

router = APIRouter()

PAGE_LETTERS = 25
#: Letters that one form may decide about.
CHOSEN_MAX = 100
_REASON_CHARACTERS = 500
_FILTERS = ("reader", "topic", "type", "key", "error", "since", "state")


@router.get("/letters")
async def found(
    request: Request,
    parts: Parts,
    admin: AnAdmin,
    page_number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """List the letters that filters admit, newest first."""
    given = {name: request.query_params.get(name, "").strip()[:200] for name in _FILTERS}
    problem, letters = "", []
    try:
        filters = showing.filters_of(given)
        topic = await read_letters(parts.kafka)
        letters = sorted(topic.chosen(filters), key=lambda letter: letter.time, reverse=True)
    except Invalid as error:
        problem = "; ".join(f"{detail.field}: {detail.message}" for detail in error.details)
    pages = max(1, math.ceil(len(letters) / PAGE_LETTERS))
    at = min(page_number, pages)
    context: dict[str, Any] = {
        "admin": admin.id,
        "section": "letters",
        "given": given,
        "states": [*LetterState, showing.ALL],
        "problem": problem,
        "total": len(letters),
        "letters": [
            showing.as_data(letter) for letter in letters[(at - 1) * PAGE_LETTERS :][:PAGE_LETTERS]
        ],
        "page": at,
        "pages": pages,
        "query": urlencode({name: text for name, text in given.items() if text}),
        "tasks": await _tasks(parts),
    }
    return page("letters.html", context, 400 if problem else 200)


@router.get("/letters/{letter_id}")
async def one(letter_id: str, parts: Parts, admin: AnAdmin) -> Response:
    """Show a letter in full."""
    [letter] = (await read_letters(parts.kafka)).named([letter_id])
    context = {
        "admin": admin.id,
        "section": "letters",
        "letter": showing.in_full(letter),
        "tasks": [t for t in await _tasks(parts) if letter_id in t.subject.split()],
    }
    return page("letter.html", context)


async def _tasks(parts: ConsoleParts) -> list[Task]:
    recent = await parts.tasks.store.recent(100)
    return [task for task in recent if task.subject.startswith("letters ")][:10]


@router.post("/letters/retry", dependencies=[FromHere])
async def retry(parts: Parts, admin: AnAdmin, form: Form) -> Response:
    """Apply letters again, behind the answer: one of them may be a film to transcode."""
    ids = await _chosen(parts, form)
    subject = f"letters {' '.join(ids)}"
    log.info("console_action", action="retry", subject=subject, actor=admin.id)
    await parts.tasks.start("retry", subject, ["deadletters", "retry", "--json", *ids], admin.id)
    return _back(ids)


@router.post("/letters/discard", dependencies=[FromHere])
async def discard(parts: Parts, admin: AnAdmin, form: Form) -> Response:
    """Decide that letters are never applied; it says why."""
    ids, because = await _chosen(parts, form), said(form, "because")
    if not 0 < len(because) <= _REASON_CHARACTERS:
        raise Invalid.field("reason", f"say why, in up to {_REASON_CHARACTERS} characters")
    async with open_letters(parts.kafka) as letters:
        results = await Desk(parts.core, letters).discard(letters.named(ids), because)
    told = "; ".join(f"{result.what}: {result.error or result.state}" for result in results)
    await _noted(parts, admin, ids, f"{told}. Reason: {because}")
    return _back(ids)


async def _noted(parts: ConsoleParts, admin: Admin, ids: list[str], told: str) -> None:
    subject = f"letters {' '.join(ids)}"
    log.info("console_action", action="discard", subject=subject, actor=admin.id)
    await parts.tasks.store.note("discard", subject, admin.id, told)


async def _chosen(parts: ConsoleParts, form: dict[str, list[str]]) -> list[str]:
    """Return the letters that a form names; raises NotFound, or Invalid when there is none."""
    ids = list(dict.fromkeys(form.get("letter", [])))
    if not 0 < len(ids) <= CHOSEN_MAX:
        raise Invalid.field("letters", f"choose 1 to {CHOSEN_MAX} of them")
    return [letter.id for letter in (await read_letters(parts.kafka)).named(ids)]


def _back(ids: list[str]) -> Response:
    return seen(f"/letters/{ids[0]}#told" if len(ids) == 1 else "/letters#told")
