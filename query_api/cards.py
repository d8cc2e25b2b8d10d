"""Cards: what lists, searches and trends show of a video, in the order that they found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from query_api.reading import QueryServices, Row
from schemas.http.envelope import ApiModel, Envelope

#: How long the URL of a picture is good.
PICTURE_LIFE = timedelta(hours=24)

#: What anybody may find.
LISTED = "v.status = 'ready' AND v.visibility = 'public' AND v.blocked_reason IS NULL"


class Creator(ApiModel):
    id: str
    username: str | None
    avatar: str | None


class Card(ApiModel):
    id: str
    title: str
    thumbnail: str | None
    views: int
    likes: int
    duration: float | None
    uploaded_at: datetime
    creator: Creator


#: Lists that are the same for everybody.
CARDS = TypeAdapter(Envelope[list[Card]])


def counters_key(video_id: str) -> str:
    """Return where Redis keeps a video's counters."""
    return f"hot_counters:counters:{video_id}"


def creator_of(row: Row) -> Creator:
    """Return the creator in a row of videos joined with users."""
    return Creator(id=str(row["creator_id"]), username=row["username"], avatar=row["avatar_url"])


async def cards(services: QueryServices, video_ids: Sequence[str]) -> list[Card]:
    """Return cards of those videos that anybody may find, in the given order."""
    if not video_ids:
        return []
    rows = await services.rows.fetch(
        "SELECT v.id, v.creator_id, v.title, v.thumbnail_url, v.duration, v.uploaded_at, "  # noqa: S608
        "v.view_count, v.like_count, u.username, u.avatar_url "
        f"FROM videos v LEFT JOIN users u ON u.id = v.creator_id "
        f"WHERE v.id = ANY($1::uuid[]) AND {LISTED}",
        list(video_ids),
    )
    found = {str(row["id"]): _card(services, row) for row in rows}
    return [found[video_id] for video_id in video_ids if video_id in found]


async def counted_cards(services: QueryServices, video_ids: Sequence[str]) -> list[Card]:
    """Return cards with the counters of this moment, which Redis keeps."""
    made = await cards(services, video_ids)
    counters = await services.counters.hashes([counters_key(card.id) for card in made])
    return [
        card.model_copy(update=_counts(counts)) for card, counts in zip(made, counters, strict=True)
    ]


def _counts(counts: Mapping[str, str]) -> dict[str, int]:
    return {name: int(counts.get(name, 0)) for name in ("views", "likes")}


def _card(services: QueryServices, row: Row) -> Card:
    thumbnail = row["thumbnail_url"]
    return Card(
        id=str(row["id"]),
        title=row["title"],
        thumbnail=services.media.download_url(thumbnail, PICTURE_LIFE) if thumbnail else None,
        views=row["view_count"],
        likes=row["like_count"],
        duration=row["duration"],
        uploaded_at=row["uploaded_at"],
        creator=creator_of(row),
    )
