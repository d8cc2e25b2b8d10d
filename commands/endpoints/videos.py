"""Uploads and videos."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from commands.endpoints.fields import Category, Description, Tag, Title
from commands.services import Commander, RequestCommander
from commands.videos import CreateVideo, DeleteVideo, RequestUpload, UpdateVideo
from events.errors import TooLarge, Unprocessable
from events.videos import Visibility
from schemas.http.envelope import ApiModel, Envelope, RequestModel
from schemas.http.paths import API
from schemas.http.routing import Route
from schemas.media_keys import source_key

router = APIRouter(prefix=f"{API}/videos", tags=["videos"], route_class=Route)

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
Tags = Annotated[tuple[Tag, ...], Field(max_length=10)]


_ANY_TYPE = "application/octet-stream"


def _of_videos(value: str) -> str:
    if not value.startswith("video/") and value != _ANY_TYPE:
        raise ValueError(f"must be a video/* type or {_ANY_TYPE}")
    return value


Filename = Annotated[str, StringConstraints(min_length=1, max_length=255)]
ContentType = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]+/[A-Za-z0-9.+-]{1,100}$", max_length=120),
    AfterValidator(_of_videos),
]
Size = Annotated[int, Field(gt=0, description="Bytes")]


class UploadBody(RequestModel):
    filename: Filename
    content_type: ContentType
    size: Size


class Upload(ApiModel):
    video_id: str
    upload_url: str
    expires_at: datetime


class VideoBody(RequestModel):
    """With ``videoId`` it confirms an upload; without, it opens one."""

    video_id: UUID | None = None
    title: Title
    description: Description = ""
    tags: Tags = ()
    category: Category = "general"
    visibility: Visibility = Visibility.PUBLIC
    filename: Filename = "upload"
    content_type: ContentType = _ANY_TYPE
    size: Size | None = None


class VideoAnswer(ApiModel):
    id: str
    status: str
    upload_url: str | None = None
    expires_at: datetime | None = None


class VideoChanges(RequestModel):
    title: Title | None = None
    description: Description | None = None
    tags: Tags | None = None
    category: Category | None = None
    visibility: Visibility | None = None

    @model_validator(mode="after")
    def _something(self) -> VideoChanges:
        if not self.model_dump(exclude_none=True):
            raise ValueError("at least one field is needed")
        return self


@router.post("/upload-url", status_code=201)
async def request_upload(body: UploadBody, commander: RequestCommander) -> Envelope[Upload]:
    """Return a presigned PUT; the file goes straight to object storage."""
    upload = await _open_upload(commander, body)
    return Envelope(data=upload, meta=commander.meta)


@router.post("", status_code=201)
async def create_video(body: VideoBody, commander: RequestCommander) -> Envelope[VideoAnswer]:
    """Confirm an upload and describe the video; processing begins."""
    creator_id = commander.caller.user_id
    if body.video_id is None:
        return await _open_described(commander, body)
    video_id = str(body.video_id)
    await commander.services.keys.load([creator_id])
    await _require_upload(commander, video_id)
    outcome = await commander.execute(
        CreateVideo(
            video_id=video_id,
            creator_id=creator_id,
            title=body.title,
            description=body.description,
            tags=tuple(dict.fromkeys(body.tags)),
            category=body.category,
            visibility=body.visibility,
        )
    )
    return _answer(commander, outcome.answer)


@router.put("/{video_id}")
async def update_video(
    video_id: UUID, body: VideoChanges, commander: RequestCommander
) -> Envelope[VideoAnswer]:
    """Edit the description; for its owner or an admin."""
    actor_id = commander.caller.user_id
    await commander.services.keys.load([actor_id])
    outcome = await commander.execute(
        UpdateVideo(
            video_id=str(video_id),
            actor_id=actor_id,
            actor_role=commander.caller.role,
            **body.model_dump(),
        )
    )
    return _answer(commander, outcome.answer)


@router.delete("/{video_id}")
async def delete_video(video_id: UUID, commander: RequestCommander) -> Envelope[VideoAnswer]:
    """Remove a video; for its owner or an admin."""
    outcome = await commander.execute(
        DeleteVideo(
            video_id=str(video_id),
            actor_id=commander.caller.user_id,
            actor_role=commander.caller.role,
        )
    )
    return _answer(commander, outcome.answer)


def _answer(commander: Commander, answer: dict[str, Any]) -> Envelope[VideoAnswer]:
    data = VideoAnswer(id=answer["id"], status=answer["status"])
    return Envelope(data=data, meta=commander.meta)


async def _open_upload(commander: Commander, body: UploadBody) -> Upload:
    owner_id = commander.caller.user_id
    limits = commander.services.limits
    if body.size > limits.max_upload_bytes:
        raise TooLarge(f"A file may have {limits.max_upload_bytes} bytes at most")
    video_id = commander.new_id("video")
    await commander.services.keys.load([owner_id])
    outcome = await commander.execute(
        RequestUpload(
            video_id=video_id,
            owner_id=owner_id,
            filename=_UNSAFE.sub("_", body.filename),
            content_type=body.content_type,
            size=body.size,
            source_key=source_key(video_id),
            expires_at=commander.time + limits.upload_url_life,
        )
    )
    url = commander.services.storage.upload_url(
        source_key(video_id), body.content_type, outcome.time, limits.upload_url_life
    )
    return Upload(
        video_id=video_id, upload_url=url, expires_at=outcome.time + limits.upload_url_life
    )


async def _open_described(commander: Commander, body: VideoBody) -> Envelope[VideoAnswer]:
    upload = await _open_upload(
        commander,
        UploadBody(filename=body.filename, content_type=body.content_type, size=body.size or 1),
    )
    data = VideoAnswer(
        id=upload.video_id,
        status="awaiting_upload",
        upload_url=upload.upload_url,
        expires_at=upload.expires_at,
    )
    return Envelope(data=data, meta=commander.meta)


async def _require_upload(commander: Commander, video_id: str) -> None:
    size = await commander.services.storage.size(source_key(video_id))
    if size is None:
        raise Unprocessable("The file has not been uploaded", code="UPLOAD_MISSING")
    if size > commander.services.limits.max_upload_bytes:
        raise TooLarge(
            f"A file may have {commander.services.limits.max_upload_bytes} bytes at most"
        )
