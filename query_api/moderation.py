"""The moderation queue, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from events.users import Role
from projections.moderation_queue import CASES, MODERATION_QUEUE
from query_api.reading import Queries, fresh
from query_api.sorting import Sort, sorted_page
from schemas.http.caller import AnyCaller
from schemas.http.envelope import ApiModel, Envelope
from schemas.http.paging import Page, page_meta, page_of
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=f"{API}/moderation", tags=["moderation"], route_class=Route)

_SORTS = {
    "openedAt": Sort("opened_at", "timestamptz"),
    "score": Sort("coalesce(score, 0)", "double precision"),
    "reports": Sort("report_count", "bigint"),
}


class Case(ApiModel):
    id: str
    subject_type: str
    video_id: str | None
    model: str | None
    score: float | None
    flagged: bool
    action: str | None
    is_open: bool
    decision: str | None
    note: str | None
    report_count: int
    opened_at: datetime
    decided_at: datetime | None


@router.get("/queue", dependencies=[Depends(fresh(MODERATION_QUEUE))])
async def queue(
    services: Queries,
    caller: AnyCaller,
    page: Annotated[Page, Depends(page_of)],
    state: Literal["open", "closed", "all"] = "open",
    subject_type: Literal["video", "comment", "text"] | None = None,
    sort: str = "openedAt",
) -> Envelope[list[Case]]:
    """List what awaits a reviewer, oldest first."""
    caller.require(Role.ADMIN)
    wanted = {"open": True, "closed": False, "all": None}[state]
    found = await sorted_page(
        services.rows,
        columns="*",
        source=f"FROM {CASES} WHERE opened_at IS NOT NULL "
        "AND ($1::boolean IS NULL OR is_open = $1) AND ($2::text IS NULL OR subject_type = $2)",
        arguments=(wanted, subject_type),
        sort=Sort.chosen(sort, _SORTS),
        identity="subject_id",
        page=page,
    )
    data = [
        Case(
            id=str(row["subject_id"]),
            video_id=str(row["video_id"]) if row["video_id"] else None,
            **{name: row[name] for name in Case.model_fields if name not in {"id", "video_id"}},
        )
        for row in found.rows
    ]
    return Envelope(data=data, meta=page_meta(page, found.total, found.next_cursor))
