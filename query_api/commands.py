"""What became of a command."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from fastapi import APIRouter

from events.errors import NotFound
from query_api.reading import Queries
from schemas.http.caller import AnyCaller
from schemas.http.envelope import ApiModel, Envelope
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=f"{API}/commands", tags=["commands"], route_class=Route)


class CommandState(ApiModel):
    id: str
    type: str
    status: str
    stream: str
    stream_version: int
    event_count: int
    answer: dict[str, Any]
    refusal: dict[str, Any] | None
    issued_at: datetime


@router.get("/{command_id}")
async def get_command(
    command_id: UUID, services: Queries, caller: AnyCaller
) -> Envelope[CommandState]:
    """Return a command's outcome, to whoever sent it and to admins."""
    row = await services.rows.fetchrow(
        "SELECT * FROM command_log WHERE command_id = $1", command_id
    )
    owner = str(row["actor_id"]) if row is not None and row["actor_id"] else None
    if row is None or (owner is not None and owner != caller.identity and not caller.is_admin):
        raise NotFound(
            "No outcome of such a command is known; ask again shortly if it was just sent",
            code="COMMAND_NOT_FOUND",
            retry_after_s=1.0,
        )
    return Envelope(
        data=CommandState(
            id=str(row["command_id"]),
            type=row["command_type"],
            status="accepted" if row["accepted"] else "refused",
            stream=row["stream"],
            stream_version=row["stream_version"],
            event_count=row["event_count"],
            answer=orjson.loads(row["answer"]),
            refusal=orjson.loads(row["refusal"]) if row["refusal"] else None,
            issued_at=row["issued_at"],
        )
    )
