"""Playlists under signed paths; segments come straight from object storage.

A player resolves relative URIs against the playlist's own URL, so the token is part of the path:
it opens the master and its variants, and the variants name each segment by a presigned URL.
"""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response

from events.errors import NotFound
from query_api.reading import Queries
from schemas.http.routing import Route
from schemas.media_keys import ladder_key

router = APIRouter(prefix="/media", tags=["media"], route_class=Route)

_PLAYLIST = re.compile(r"^(master|\d{2,4}p)\.m3u8$")
_PLAYLIST_TYPE = "application/vnd.apple.mpegurl"


@router.get("/{token}/{video_id}/{name}")
async def playlist(token: str, video_id: UUID, name: str, services: Queries) -> Response:
    """Return a playlist of a video for which the token is good."""
    life = services.links.check(token, str(video_id))
    key = ladder_key(str(video_id), name)
    body = await services.media.read(key) if _PLAYLIST.match(name) else None
    if body is None:
        raise NotFound("No such playlist", code="PLAYLIST_NOT_FOUND")
    text = body.decode()
    if name != "master.m3u8":
        text = presign_segments(services, str(video_id), text, life)
    return Response(
        text,
        media_type=_PLAYLIST_TYPE,
        headers={"Cache-Control": f"private, max-age={int(min(life.total_seconds(), 300))}"},
    )


def presign_segments(services: Queries, video_id: str, text: str, life: timedelta) -> str:
    """Replace each segment's name by a URL that is good as long as the token."""
    return "\n".join(
        line
        if not line or line.startswith("#")
        else services.media.download_url(ladder_key(video_id, line), life)
        for line in text.split("\n")
    )
