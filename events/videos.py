"""Events of videos, from the upload's URL to the end: one stream a video, keyed by its id."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from events.base import Event, Id
from events.privacy import Personal

DOMAIN = "videos"


class Visibility(StrEnum):
    """Who may find and play it: everyone; who has the link; its owner."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


class VideoStatus(StrEnum):
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    DELETED = "deleted"


class Rendition(BaseModel):
    """One encoded variant; sizes in pixels, bytes and bits a second."""

    model_config = ConfigDict(frozen=True)

    quality: str
    width: int
    height: int
    bitrate: int
    file_size: int
    playlist_key: str


class UploadRequested(Event):
    """A presigned URL was issued; the file goes straight to object storage under ``source_key``."""

    name = "video.upload_requested"
    domain = DOMAIN

    video_id: Id
    owner_id: Id
    filename: Annotated[str, Personal("owner_id")]
    content_type: str
    size: int
    source_key: str
    expires_at: datetime


class VideoCreated(Event):
    """The upload was confirmed and described; processing begins."""

    name = "video.created"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    title: Annotated[str, Personal("creator_id")]
    description: Annotated[str, Personal("creator_id")]
    tags: tuple[str, ...]
    category: str
    visibility: Visibility
    source_key: str


class VideoUpdated(Event):
    """The description was edited; a field that is absent did not change."""

    name = "video.updated"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    title: Annotated[str | None, Personal("creator_id")] = None
    description: Annotated[str | None, Personal("creator_id")] = None
    tags: tuple[str, ...] | None = None
    category: str | None = None
    visibility: Visibility | None = None


class VideoDeleted(Event):
    """The owner or an admin removed it."""

    name = "video.deleted"
    domain = DOMAIN

    video_id: Id
    creator_id: Id


class TranscodeStarted(Event):
    """A worker began attempt number ``attempt`` (from 1)."""

    name = "video.transcode_started"
    domain = DOMAIN

    video_id: Id
    attempt: int


class TranscodeProgressed(Event):
    """Part of the work is done; ``fraction`` from 0 to 1."""

    name = "video.transcode_progressed"
    domain = DOMAIN

    video_id: Id
    attempt: int
    fraction: float


class TranscodeFailed(Event):
    """An attempt failed and another one will follow."""

    name = "video.transcode_failed"
    domain = DOMAIN

    video_id: Id
    attempt: int
    code: str
    message: str


class VideoReady(Event):
    """It can be played. ``duration_seconds`` and ``bitrate`` (bit/s) are the source's own."""

    name = "video.ready"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    duration_seconds: float
    width: int
    height: int
    codec: str
    bitrate: int
    format: str
    file_size: int
    master_key: str
    thumbnail_key: str
    renditions: tuple[Rendition, ...]


class VideoFailed(Event):
    """It will never play; ``message`` is for its owner."""

    name = "video.failed"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    code: str
    message: str


class VideoBlocked(Event):
    """Moderation took it away from everyone but its owner and admins."""

    name = "video.blocked"
    domain = DOMAIN

    video_id: Id
    creator_id: Id
    reason: str


class VideoUnblocked(Event):
    """A reviewer gave it back."""

    name = "video.unblocked"
    domain = DOMAIN

    video_id: Id
    creator_id: Id


EVENTS: tuple[type[Event], ...] = (
    UploadRequested,
    VideoCreated,
    VideoUpdated,
    VideoDeleted,
    TranscodeStarted,
    TranscodeProgressed,
    TranscodeFailed,
    VideoReady,
    VideoFailed,
    VideoBlocked,
    VideoUnblocked,
)
