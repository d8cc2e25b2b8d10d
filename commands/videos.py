"""The video: upload, description, transcoding, moderation, end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, assert_never

from commands.aggregate import Aggregate, State
from events import videos
from events.base import Command, Event, Id
from events.errors import Conflict, NotFound, NotPermitted
from events.privacy import Personal
from events.users import Role
from events.videos import (
    DOMAIN,
    Rendition,
    TranscodeFailed,
    TranscodeProgressed,
    TranscodeStarted,
    UploadRequested,
    VideoBlocked,
    VideoCreated,
    VideoDeleted,
    VideoFailed,
    VideoReady,
    VideoUnblocked,
    VideoUpdated,
    Visibility,
)

#: How often transcoding is tried before the video has failed for good (SH-07).
MAX_TRANSCODE_ATTEMPTS = 3


class VideoCommand(Command):
    domain = DOMAIN

    video_id: Id

    def key(self) -> str:
        return self.video_id

    def stream(self) -> str:
        return f"video-{self.video_id}"


class RequestUpload(VideoCommand):
    name = "video.request_upload"

    owner_id: Id
    filename: Annotated[str, Personal("owner_id")]
    content_type: str
    size: int
    source_key: str
    expires_at: datetime


class CreateVideo(VideoCommand):
    """Confirm the upload and describe the video."""

    name = "video.create"

    creator_id: Id
    title: Annotated[str, Personal("creator_id")]
    description: Annotated[str, Personal("creator_id")]
    tags: tuple[str, ...]
    category: str
    visibility: Visibility


class UpdateVideo(VideoCommand):
    name = "video.update"

    actor_id: Id
    actor_role: Role
    title: Annotated[str | None, Personal("actor_id")] = None
    description: Annotated[str | None, Personal("actor_id")] = None
    tags: tuple[str, ...] | None = None
    category: str | None = None
    visibility: Visibility | None = None


class DeleteVideo(VideoCommand):
    name = "video.delete"

    actor_id: Id
    actor_role: Role


class StartTranscode(VideoCommand):
    name = "video.start_transcode"

    attempt: int


class ReportTranscodeProgress(VideoCommand):
    name = "video.report_transcode_progress"

    attempt: int
    fraction: float


class CompleteTranscode(VideoCommand):
    name = "video.complete_transcode"

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


class FailTranscode(VideoCommand):
    """An attempt failed; ``permanent`` when no other attempt can end better."""

    name = "video.fail_transcode"

    attempt: int
    code: str
    message: str
    permanent: bool


class BlockVideo(VideoCommand):
    name = "video.block"

    reason: str


class UnblockVideo(VideoCommand):
    name = "video.unblock"


class Stage(StrEnum):
    ABSENT = "absent"
    AWAITING_UPLOAD = "awaiting_upload"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    DELETED = "deleted"


class Video(State):
    stage: Stage = Stage.ABSENT
    owner_id: str = ""
    source_key: str = ""
    expires_at: datetime | None = None
    attempt: int = 0
    fraction: float = 0.0
    blocked: bool = False


def evolve(state: Video, event: Event) -> Video:
    match event:
        case UploadRequested():
            return Video(
                stage=Stage.AWAITING_UPLOAD,
                owner_id=event.owner_id,
                source_key=event.source_key,
                expires_at=event.expires_at,
            )
        case VideoCreated():
            return state.model_copy(update={"stage": Stage.PROCESSING})
        case VideoDeleted():
            return state.model_copy(update={"stage": Stage.DELETED})
        case VideoReady():
            return state.model_copy(update={"stage": Stage.READY, "fraction": 1.0})
        case VideoFailed():
            return state.model_copy(update={"stage": Stage.FAILED})
        case _:
            return state.model_copy(update=_small_change(event))


def _small_change(event: Event) -> dict[str, Any]:
    """Return what the events that leave the stage alone change."""
    match event:
        case TranscodeStarted():
            return {"attempt": event.attempt, "fraction": 0.0}
        case TranscodeProgressed():
            return {"fraction": event.fraction}
        case VideoBlocked():
            return {"blocked": True}
        case VideoUnblocked():
            return {"blocked": False}
        case _:
            return {}


VideoCommands = (
    RequestUpload
    | CreateVideo
    | UpdateVideo
    | DeleteVideo
    | StartTranscode
    | ReportTranscodeProgress
    | CompleteTranscode
    | FailTranscode
    | BlockVideo
    | UnblockVideo
)


def decide(command: VideoCommands, state: Video) -> Sequence[Event]:
    if isinstance(command, RequestUpload):
        return _request_upload(command, state)
    if state.stage in {Stage.ABSENT, Stage.DELETED}:
        return _decide_without_video(command)
    if isinstance(command, CreateVideo):
        return _create(command, state)
    if state.stage is Stage.AWAITING_UPLOAD:
        raise _not_found()
    match command:
        case UpdateVideo() | DeleteVideo():
            return _decide_for_owner(command, state)
        case BlockVideo() | UnblockVideo():
            return _decide_moderation(command, state)
        case _:
            return _decide_transcode(command, state)


def _not_found() -> NotFound:
    return NotFound("No such video", code="VIDEO_NOT_FOUND")


def _decide_without_video(command: VideoCommands) -> Sequence[Event]:
    """Work on a video that is gone simply ends; a person who asks for it is told."""
    if isinstance(command, CreateVideo | UpdateVideo | DeleteVideo):
        raise _not_found()
    return []


def _request_upload(command: RequestUpload, state: Video) -> Sequence[Event]:
    if state.stage is not Stage.ABSENT:
        raise Conflict("The upload exists already", code="UPLOAD_EXISTS")
    return [
        UploadRequested(
            video_id=command.video_id,
            owner_id=command.owner_id,
            filename=command.filename,
            content_type=command.content_type,
            size=command.size,
            source_key=command.source_key,
            expires_at=command.expires_at,
        )
    ]


def _create(command: CreateVideo, state: Video) -> Sequence[Event]:
    if command.creator_id != state.owner_id:
        raise _not_found()
    if state.stage is not Stage.AWAITING_UPLOAD:
        raise Conflict("The upload was confirmed already", code="VIDEO_ALREADY_CREATED")
    return [
        VideoCreated(
            video_id=command.video_id,
            creator_id=command.creator_id,
            title=command.title,
            description=command.description,
            tags=command.tags,
            category=command.category,
            visibility=command.visibility,
            source_key=state.source_key,
        )
    ]


def _decide_for_owner(command: UpdateVideo | DeleteVideo, state: Video) -> Sequence[Event]:
    if command.actor_id != state.owner_id and command.actor_role is not Role.ADMIN:
        raise NotPermitted("Insufficient permissions")
    if isinstance(command, DeleteVideo):
        return [VideoDeleted(video_id=command.video_id, creator_id=state.owner_id)]
    changes = command.model_dump(
        include={"title", "description", "tags", "category", "visibility"}, exclude_none=True
    )
    if not changes:
        return []
    return [VideoUpdated(video_id=command.video_id, creator_id=state.owner_id, **changes)]


def _decide_moderation(command: BlockVideo | UnblockVideo, state: Video) -> Sequence[Event]:
    wanted = isinstance(command, BlockVideo)
    if state.blocked == wanted:
        return []
    if isinstance(command, BlockVideo):
        return [
            VideoBlocked(
                video_id=command.video_id, creator_id=state.owner_id, reason=command.reason
            )
        ]
    return [VideoUnblocked(video_id=command.video_id, creator_id=state.owner_id)]


def _decide_transcode(
    command: StartTranscode | ReportTranscodeProgress | CompleteTranscode | FailTranscode,
    state: Video,
) -> Sequence[Event]:
    """Whatever a worker reports of a video that is already ready or failed comes too late."""
    if state.stage is not Stage.PROCESSING:
        return []
    match command:
        case StartTranscode():
            if command.attempt <= state.attempt:
                return []
            return [TranscodeStarted(video_id=command.video_id, attempt=command.attempt)]
        case ReportTranscodeProgress():
            return _progress(command, state)
        case CompleteTranscode():
            return [VideoReady(creator_id=state.owner_id, **vars(command))]
        case FailTranscode():
            return _fail(command, state)
        case _:
            assert_never(command)


def _progress(command: ReportTranscodeProgress, state: Video) -> Sequence[Event]:
    if command.attempt != state.attempt or command.fraction <= state.fraction:
        return []
    return [
        TranscodeProgressed(
            video_id=command.video_id, attempt=command.attempt, fraction=command.fraction
        )
    ]


def _fail(command: FailTranscode, state: Video) -> Sequence[Event]:
    if command.permanent or command.attempt >= MAX_TRANSCODE_ATTEMPTS:
        return [
            VideoFailed(
                video_id=command.video_id,
                creator_id=state.owner_id,
                code=command.code,
                message=command.message,
            )
        ]
    return [
        TranscodeFailed(
            video_id=command.video_id,
            attempt=command.attempt,
            code=command.code,
            message=command.message,
        )
    ]


def answer(command: VideoCommand, state: Video) -> dict[str, Any]:
    return {"id": command.video_id, "status": state.stage, "attempt": state.attempt}


VIDEO = Aggregate(
    name="video",
    domain=DOMAIN,
    initial=Video(),
    commands=(
        RequestUpload,
        CreateVideo,
        UpdateVideo,
        DeleteVideo,
        StartTranscode,
        ReportTranscodeProgress,
        CompleteTranscode,
        FailTranscode,
        BlockVideo,
        UnblockVideo,
    ),
    events=videos.EVENTS,
    decide=decide,
    evolve=evolve,
    answer=answer,
)
