"""The watch page: a video with its streams and counters, and who liked it (Postgres).

Lists of a channel read the same table. A row that only counters have touched so far has no
status, and is shown to nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from events.base import Event, Recorded
from events.comments import CommentDeleted, CommentPosted
from events.engagement import VideoLiked, VideoShared, VideoUnliked, VideoViewed
from events.videos import (
    TranscodeProgressed,
    TranscodeStarted,
    VideoBlocked,
    VideoCreated,
    VideoDeleted,
    VideoFailed,
    VideoReady,
    VideoStatus,
    VideoUnblocked,
    VideoUpdated,
)
from projections.declaration import Change, Increment, Projection, Put, Remove, Store, Table

VIDEOS = Table(
    name="videos",
    columns={
        "id": "uuid",
        "creator_id": "uuid",
        "title": "varchar(200)",
        "description": "text",
        "thumbnail_url": "text",
        "video_url": "text",
        "duration": "double precision",
        "file_size": "bigint",
        "format": "varchar(20)",
        "status": "text",
        "visibility": "text",
        "tags": "text[] NOT NULL DEFAULT '{}'",
        "category": "varchar(50)",
        "uploaded_at": "timestamptz",
        "processed_at": "timestamptz",
        "updated_at": "timestamptz",
        "resolution": "varchar(20)",
        "codec": "varchar(50)",
        "bitrate": "bigint",
        "progress": "double precision NOT NULL DEFAULT 0",
        "failure_code": "text",
        "failure_message": "text",
        "blocked_reason": "text",
        "view_count": "bigint NOT NULL DEFAULT 0",
        "like_count": "bigint NOT NULL DEFAULT 0",
        "comment_count": "bigint NOT NULL DEFAULT 0",
        "share_count": "bigint NOT NULL DEFAULT 0",
    },
    key=("id",),
    indexes=(
        "(creator_id, uploaded_at DESC)",
        "(status)",
        "(visibility)",
        "(uploaded_at DESC)",
        "(category, uploaded_at DESC)",
        "USING gin (tags)",
        "(view_count DESC)",
    ),
)
VIDEO_STREAMS = Table(
    name="video_streams",
    columns={
        "video_id": "uuid",
        "quality": "varchar(20)",
        "hls_url": "text NOT NULL",
        "file_size": "bigint NOT NULL",
        "bitrate": "bigint NOT NULL",
        "resolution": "varchar(20) NOT NULL",
        "created_at": "timestamptz NOT NULL",
    },
    key=("video_id", "quality"),
)
LIKES = Table(
    name="likes",
    columns={"user_id": "uuid", "video_id": "uuid", "created_at": "timestamptz NOT NULL"},
    key=("user_id", "video_id"),
    indexes=("(video_id)", "(created_at DESC)"),
)


def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    # What there is most of comes first, and only what needs it asks for the time.
    match event:
        case VideoViewed():
            yield Increment("videos", (event.video_id,), {"view_count": 1})
        case VideoLiked():
            created = {"created_at": recorded.metadata.time}
            yield Put("likes", (event.user_id, event.video_id), created)
            yield Increment("videos", (event.video_id,), {"like_count": 1})
        case VideoUnliked():
            yield Remove("likes", (event.user_id, event.video_id))
            yield Increment("videos", (event.video_id,), {"like_count": -1})
        case CommentPosted():
            yield Increment("videos", (event.video_id,), {"comment_count": 1})
        case CommentDeleted():
            yield Increment("videos", (event.video_id,), {"comment_count": -1})
        case VideoShared():
            yield Increment("videos", (event.video_id,), {"share_count": 1})
        case _:
            yield from _description(event, recorded.metadata.time)
            yield from _progress(event)


def _description(event: Event, at: datetime) -> Iterable[Change]:
    match event:
        case VideoCreated():
            yield Put(
                "videos",
                (event.video_id,),
                {
                    **event.model_dump(
                        include={
                            "creator_id",
                            "title",
                            "description",
                            "tags",
                            "category",
                            "visibility",
                        }
                    ),
                    "status": VideoStatus.PROCESSING,
                    "uploaded_at": at,
                    "updated_at": at,
                },
            )
        case VideoUpdated():
            changes = event.model_dump(exclude={"video_id", "creator_id"}, exclude_none=True)
            yield Put("videos", (event.video_id,), {**changes, "updated_at": at})
        case VideoReady():
            yield from _ready(event, at)
        case VideoDeleted():
            gone = {"status": VideoStatus.DELETED, "title": None, "description": None}
            yield Put("videos", (event.video_id,), {**gone, "updated_at": at})


def _ready(event: VideoReady, at: datetime) -> Iterable[Change]:
    yield Put(
        "videos",
        (event.video_id,),
        {
            "status": VideoStatus.READY,
            "progress": 1.0,
            "thumbnail_url": event.thumbnail_key,
            "video_url": event.master_key,
            "duration": event.duration_seconds,
            "file_size": event.file_size,
            "format": event.format[:20],
            "resolution": f"{event.width}x{event.height}",
            "codec": event.codec[:50],
            "bitrate": event.bitrate,
            "processed_at": at,
            "updated_at": at,
        },
    )
    for rendition in event.renditions:
        yield Put(
            "video_streams",
            (event.video_id, rendition.quality),
            {
                "hls_url": rendition.playlist_key,
                "file_size": rendition.file_size,
                "bitrate": rendition.bitrate,
                "resolution": f"{rendition.width}x{rendition.height}",
                "created_at": at,
            },
        )


def _progress(event: Event) -> Iterable[Change]:
    match event:
        case TranscodeStarted():
            yield Put("videos", (event.video_id,), {"progress": 0.0})
        case TranscodeProgressed():
            yield Put("videos", (event.video_id,), {"progress": event.fraction})
        case VideoFailed():
            failure = {"failure_code": event.code, "failure_message": event.message}
            yield Put("videos", (event.video_id,), {"status": VideoStatus.FAILED, **failure})
        case VideoBlocked():
            yield Put("videos", (event.video_id,), {"blocked_reason": event.reason})
        case VideoUnblocked():
            yield Put("videos", (event.video_id,), {"blocked_reason": None})


WATCH_PAGE = Projection(
    name="watch_page",
    version=1,
    store=Store.POSTGRES,
    events=(
        VideoCreated,
        VideoUpdated,
        VideoDeleted,
        VideoReady,
        VideoFailed,
        VideoBlocked,
        VideoUnblocked,
        TranscodeStarted,
        TranscodeProgressed,
        VideoLiked,
        VideoUnliked,
        VideoViewed,
        VideoShared,
        CommentPosted,
        CommentDeleted,
    ),
    evolve=evolve,
    tables=(VIDEOS, VIDEO_STREAMS, LIKES),
)
