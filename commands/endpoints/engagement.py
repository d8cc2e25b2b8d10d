"""Likes, shares, views and player beats."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from commands.endpoints.fields import Country, Device
from commands.engagement import (
    LikeVideo,
    RecordEngagement,
    RecordView,
    ShareVideo,
    UnlikeVideo,
)
from commands.services import Commander, RequestCommander
from events import clock
from events.engagement import EngagementKind
from events.errors import NotFound
from schemas.http.envelope import ApiModel, Envelope, RequestModel
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=API, tags=["engagement"], route_class=Route)

#: How long a session's views of a video count as one; PeerTube takes an hour as well.
VIEW_WINDOW = timedelta(hours=1)

SessionText = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Seconds = Annotated[float, Field(ge=0, le=7 * 24 * 3600)]
Referrer = Annotated[str, StringConstraints(max_length=500)]


_NOBODY = "00000000-0000-0000-0000-000000000000"


class LikeAnswer(ApiModel):
    video_id: str
    liked: bool


class Recorded(ApiModel):
    video_id: str
    recorded: bool


class ShareBody(RequestModel):
    channel: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,30}$")] = "link"


class WatchBody(RequestModel):
    """What a player knows of a view; everything is optional."""

    session_id: SessionText | None = None
    watch_duration: Seconds = 0.0
    device: Device | None = None
    country: Country | None = None
    referrer: Referrer | None = None


class ViewBody(WatchBody):
    video_id: UUID


class BeatBody(RequestModel):
    video_id: UUID
    kind: EngagementKind
    session_id: SessionText | None = None
    position: Seconds = 0.0
    watch_duration: Seconds = 0.0
    device: Device | None = None
    country: Country | None = None


@router.post("/videos/{video_id}/like")
async def like(video_id: UUID, commander: RequestCommander) -> Envelope[LikeAnswer]:
    """Like a video; liking twice changes nothing."""
    return await _like(commander, str(video_id), LikeVideo)


@router.delete("/videos/{video_id}/like")
async def unlike(video_id: UUID, commander: RequestCommander) -> Envelope[LikeAnswer]:
    """Withdraw a like."""
    return await _like(commander, str(video_id), UnlikeVideo)


@router.post("/videos/{video_id}/share", status_code=201)
async def share(
    video_id: UUID, commander: RequestCommander, body: ShareBody | None = None
) -> Envelope[Recorded]:
    """Record that somebody passed the video on."""
    creator_id = await require_video(commander, str(video_id))
    await commander.execute(
        ShareVideo(
            video_id=str(video_id),
            creator_id=creator_id,
            user_id=commander.caller.identity,
            channel=(body or ShareBody()).channel,
        )
    )
    return _recorded(commander, str(video_id))


@router.post("/videos/{video_id}/view", status_code=201)
async def view(
    video_id: UUID, commander: RequestCommander, body: WatchBody | None = None
) -> Envelope[Recorded]:
    """Count a view; within an hour, the same session's views of a video count once."""
    return await _view(commander, str(video_id), body or WatchBody())


@router.post("/analytics/view", status_code=201, tags=["analytics"])
async def analytics_view(body: ViewBody, commander: RequestCommander) -> Envelope[Recorded]:
    """Count a view: the same fact as ``/videos/{id}/view``."""
    return await _view(commander, str(body.video_id), body)


@router.post("/analytics/engagement", status_code=201, tags=["analytics"])
async def analytics_engagement(body: BeatBody, commander: RequestCommander) -> Envelope[Recorded]:
    """Record a beat of the player."""
    video_id = str(body.video_id)
    creator_id = await require_video(commander, video_id)
    await commander.execute(
        RecordEngagement(
            video_id=video_id,
            creator_id=creator_id,
            user_id=commander.caller.identity,
            session_id=_session(commander, body.session_id),
            kind=body.kind,
            position_seconds=body.position,
            watch_duration_seconds=body.watch_duration,
            device=body.device,
            country=body.country,
        )
    )
    return _recorded(commander, video_id)


async def require_video(commander: Commander, video_id: str) -> str:
    """Return the creator of a video that the caller may see; raises NotFound.

    A request that was decided before is answered as it was then, whatever became of the video;
    nobody looks at the creator in it again.
    """
    caller = commander.caller
    creator_id = await commander.services.directory.video_creator(
        video_id, caller.identity, admin=caller.is_admin
    )
    if creator_id is not None:
        return creator_id
    if await commander.was_decided():
        return _NOBODY
    raise NotFound("No such video", code="VIDEO_NOT_FOUND")


async def _like(
    commander: Commander, video_id: str, wish: type[LikeVideo | UnlikeVideo]
) -> Envelope[LikeAnswer]:
    user_id = commander.caller.user_id
    creator_id = await require_video(commander, video_id)
    outcome = await commander.execute(
        wish(video_id=video_id, creator_id=creator_id, user_id=user_id)
    )
    data = LikeAnswer(video_id=video_id, liked=outcome.answer["liked"])
    return Envelope(data=data, meta=commander.meta)


async def _view(commander: Commander, video_id: str, body: WatchBody) -> Envelope[Recorded]:
    creator_id = await require_video(commander, video_id)
    session_id = _session(commander, body.session_id)
    window = int(commander.time.timestamp() // VIEW_WINDOW.total_seconds())
    command_id = clock.id_from("view", session_id, video_id, str(window))
    command = RecordView(
        video_id=video_id,
        creator_id=creator_id,
        user_id=commander.caller.identity,
        session_id=session_id,
        watch_duration_seconds=body.watch_duration,
        device=body.device,
        country=body.country,
        referrer=body.referrer,
    )
    await commander.execute_as(command, command_id, fingerprint="view")
    return _recorded(commander, video_id)


def _session(commander: Commander, session_id: str | None) -> str:
    """Return what tells viewers apart; an address alone never reaches the log."""
    if session_id is not None:
        return session_id
    caller = commander.caller
    if caller.claims is not None:
        return caller.claims.session_id
    digest = hashlib.blake2b(f"{caller.address}\x1f{caller.agent}".encode(), digest_size=16)
    return clock.id_from("anonymous", digest.hexdigest())


def _recorded(commander: Commander, video_id: str) -> Envelope[Recorded]:
    return Envelope(data=Recorded(video_id=video_id, recorded=True), meta=commander.meta)
