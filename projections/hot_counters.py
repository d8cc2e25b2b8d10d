"""The counters of a video that cards in lists show (Redis).

``counters:<video id>`` is a hash of ``views``, ``likes``, ``comments`` and ``shares``.
"""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Recorded
from events.comments import CommentDeleted, CommentPosted
from events.engagement import VideoLiked, VideoShared, VideoUnliked, VideoViewed
from projections.declaration import Change, Projection, RedisCommand, Store, Table

COUNTERS = Table(
    name="counters",
    columns=dict.fromkeys(("views", "likes", "comments", "shares"), "integer"),
    key=("video_id",),
)


def counters_key(video_id: str) -> str:
    """Return the key of a video's counters within the projection."""
    return f"counters:{video_id}"


def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    match event:
        case VideoViewed():
            yield _count(event.video_id, "views", 1)
        case VideoLiked():
            yield _count(event.video_id, "likes", 1)
        case VideoUnliked():
            yield _count(event.video_id, "likes", -1)
        case VideoShared():
            yield _count(event.video_id, "shares", 1)
        case CommentPosted():
            yield _count(event.video_id, "comments", 1)
        case CommentDeleted():
            yield _count(event.video_id, "comments", -1)


def _count(video_id: str, counter: str, amount: int) -> Change:
    return RedisCommand(("HINCRBY", counters_key(video_id), counter, amount))


HOT_COUNTERS = Projection(
    name="hot_counters",
    version=1,
    store=Store.REDIS,
    events=(
        VideoViewed,
        VideoLiked,
        VideoUnliked,
        VideoShared,
        CommentPosted,
        CommentDeleted,
    ),
    evolve=evolve,
    tables=(COUNTERS,),
)
