"""Events of what viewers do with a video: keyed by the video's id.

Each names the video's creator, so that figures of creators need no second look.
"""

from __future__ import annotations

from enum import StrEnum

from events.base import Event, Id

DOMAIN = "engagement"


class EngagementKind(StrEnum):
    PLAY = "play"
    PAUSE = "pause"
    SEEK = "seek"
    PROGRESS = "progress"
    COMPLETE = "complete"


class VideoLiked(Event):
    """Somebody likes it; a second like of the same person is no event."""

    name = "video.liked"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    user_id: Id


class VideoUnliked(Event):
    """Somebody took their like back."""

    name = "video.unliked"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    user_id: Id


class VideoShared(Event):
    """Somebody passed it on, by ``channel`` (``link``, ``email``, a network's name …)."""

    name = "video.shared"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    user_id: Id | None
    channel: str


class VideoViewed(Event):
    """One view: a session's watching of a video within a window counts once.

    ``watch_duration_seconds`` is what was watched when it was reported; ``country`` is ISO 3166-1
    alpha-2.
    """

    name = "video.viewed"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    user_id: Id | None
    session_id: str
    watch_duration_seconds: float
    device: str | None
    country: str | None
    referrer: str | None


class EngagementRecorded(Event):
    """A beat of the player: what happened at which position, both in seconds."""

    name = "video.engagement_recorded"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    user_id: Id | None
    session_id: str
    kind: EngagementKind
    position_seconds: float
    watch_duration_seconds: float
    device: str | None
    country: str | None


EVENTS: tuple[type[Event], ...] = (
    VideoLiked,
    VideoUnliked,
    VideoShared,
    VideoViewed,
    EngagementRecorded,
)
