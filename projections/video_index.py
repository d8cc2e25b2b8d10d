"""Finding videos by words, and the names of those who made them (OpenSearch).

A name comes in an event of another key than the video's, so it has documents of its own: joining
them while indexing would depend on which partition was read first. Searches look the name up
first, and then ask for videos of those creators. Deleting leaves a tombstone without words.
"""

from __future__ import annotations

from collections.abc import Iterable

from events import clock
from events.base import Event, Recorded
from events.engagement import VideoLiked, VideoUnliked, VideoViewed
from events.users import UserErased, UserRegistered
from events.videos import (
    VideoBlocked,
    VideoCreated,
    VideoDeleted,
    VideoFailed,
    VideoReady,
    VideoStatus,
    VideoUnblocked,
    VideoUpdated,
)
from projections.declaration import Change, Increment, Projection, Put, Store, Table
from projections.stamps import stamped

_WORDS = {"type": "text", "analyzer": "standard"}
_EXACT = {"type": "keyword", "ignore_above": 256}

VIDEOS = Table(
    name="videos",
    columns={
        "id": "keyword",
        "creator_id": "keyword",
        "title": "text",
        "description": "text",
        "tags": "keyword",
        "category": "keyword",
        "views": "long",
        "likes": "long",
        "duration": "integer",
        "upload_date": "date",
        "status": "keyword",
        "visibility": "keyword",
        "blocked": "boolean",
        "deleted": "boolean",
        "thumbnail": "keyword",
    },
    key=("id",),
    options={
        "properties": {
            "title": {
                **_WORDS,
                "fields": {"keyword": _EXACT, "typed": {"type": "search_as_you_type"}},
            },
            "description": _WORDS,
            "tags": {"type": "keyword", "fields": {"words": _WORDS}},
            "thumbnail": {"type": "keyword", "index": False, "doc_values": False},
        }
    },
)
CREATORS = Table(
    name="creators",
    columns={"id": "keyword", "creator_name": "text"},
    key=("id",),
    options={"properties": {"creator_name": {**_WORDS, "fields": {"keyword": _EXACT}}}},
)


@stamped
def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    # What there is most of comes first.
    match event:
        case VideoViewed():
            yield Increment("videos", (event.video_id,), {"views": 1})
        case VideoLiked():
            yield Increment("videos", (event.video_id,), {"likes": 1})
        case VideoUnliked():
            yield Increment("videos", (event.video_id,), {"likes": -1})
        case VideoCreated():
            yield _video(
                event.video_id,
                id=event.video_id,
                creator_id=event.creator_id,
                title=event.title,
                description=event.description,
                tags=event.tags,
                category=event.category,
                visibility=event.visibility,
                status=VideoStatus.PROCESSING,
                upload_date=clock.to_text(recorded.metadata.time),
            )
        case VideoUpdated():
            changes = event.model_dump(exclude={"video_id", "creator_id"}, exclude_none=True)
            yield _video(event.video_id, **changes)
        case UserRegistered():
            names = {"id": event.user_id, "creator_name": event.username}
            yield Put("creators", (event.user_id,), names)
        case UserErased():
            yield Put("creators", (event.user_id,), {"creator_name": None})
        case _:
            yield from _fate(event)


def _fate(event: Event) -> Iterable[Change]:
    match event:
        case VideoReady():
            yield _video(
                event.video_id,
                status=VideoStatus.READY,
                duration=round(event.duration_seconds),
                thumbnail=event.thumbnail_key,
            )
        case VideoFailed():
            yield _video(event.video_id, status=VideoStatus.FAILED)
        case VideoBlocked():
            yield _video(event.video_id, blocked=True)
        case VideoUnblocked():
            yield _video(event.video_id, blocked=False)
        case VideoDeleted():
            gone = {"deleted": True, "status": VideoStatus.DELETED}
            yield _video(event.video_id, **gone, title=None, description=None, tags=())


def _video(video_id: str, **values: object) -> Change:
    return Put("videos", (video_id,), values)


VIDEO_INDEX = Projection(
    name="video_index",
    version=1,
    store=Store.OPENSEARCH,
    events=(
        UserRegistered,
        UserErased,
        VideoCreated,
        VideoUpdated,
        VideoReady,
        VideoFailed,
        VideoBlocked,
        VideoUnblocked,
        VideoDeleted,
        VideoViewed,
        VideoLiked,
        VideoUnliked,
    ),
    evolve=evolve,
    tables=(VIDEOS, CREATORS),
)
