"""What is being watched now: interest in each video, in buckets of time (Redis).

An event adds its weight to the video in the sorted set of its five minutes and of its hour, by the
event's own time; a bucket goes when no window reaches it any more. An event that is older than
that makes a bucket that is gone at once, so replaying history leaves only what is recent. What a
bucket is worth as it ages is the query's affair: buckets hold whole numbers, hence the same sums
in whatever batches the events came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from events.base import Event, Recorded
from events.comments import CommentPosted
from events.engagement import VideoLiked, VideoShared, VideoUnliked, VideoViewed
from projections.declaration import Change, Projection, RedisCommand, Store, Table

#: What an event says about a video, in views. A like is taken back at the weight that it had; a
#: share carries furthest, since it brings viewers who would not have come.
WEIGHTS: dict[type[Event], int] = {
    VideoViewed: 1,
    VideoLiked: 4,
    VideoUnliked: -4,
    CommentPosted: 5,
    VideoShared: 6,
}


@dataclass(frozen=True, slots=True)
class Buckets:
    """A family of buckets: how much time one holds, and how long it is kept after its end."""

    family: str
    width_s: int
    kept_s: int

    def start(self, moment_s: float) -> int:
        """Return when the bucket of a moment begins, in seconds since 1970."""
        return int(moment_s // self.width_s) * self.width_s

    def key(self, start_s: int) -> str:
        """Return the key of the bucket that begins then."""
        return f"{self.family}:{start_s}"


MINUTES = Buckets("minutes", width_s=300, kept_s=3_600)
HOURS = Buckets("hours", width_s=3_600, kept_s=7 * 86_400)


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time that trends are asked for; interest halves every ``half_life_s``."""

    name: str
    buckets: Buckets
    span_s: int
    half_life_s: int


#: By name: ``trending:hour``, ``trending:day`` and ``trending:week`` are what queries make of them.
WINDOWS = {
    window.name: window
    for window in (
        Window("hour", MINUTES, span_s=3_600, half_life_s=1_200),
        Window("day", HOURS, span_s=86_400, half_life_s=6 * 3_600),
        Window("week", HOURS, span_s=7 * 86_400, half_life_s=2 * 86_400),
    )
}


def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    match event:
        case VideoViewed() | VideoLiked() | VideoUnliked() | VideoShared() | CommentPosted():
            weight = WEIGHTS[type(event)]
            for key, expiry in _buckets(MINUTES.start(recorded.metadata.time.timestamp())):
                yield RedisCommand(("ZINCRBY", key, weight, event.video_id))
                yield expiry


@lru_cache(64)
def _buckets(minutes_s: int) -> Sequence[tuple[str, RedisCommand]]:
    """Return the keys of the buckets that hold these minutes, and what has each go in the end.

    Hours are whole numbers of the finer buckets, so that the start of one of those will do.
    """
    found = []
    for buckets in (MINUTES, HOURS):
        start_s = buckets.start(minutes_s)
        key = buckets.key(start_s)
        ends_s = start_s + buckets.width_s + buckets.kept_s
        found.append((key, RedisCommand(("PEXPIREAT", key, ends_s * 1000))))
    return found


TRENDING = Projection(
    name="trending",
    version=1,
    store=Store.REDIS,
    events=tuple(WEIGHTS),
    evolve=evolve,
    tables=tuple(
        Table(buckets.family, {"video_id": "score"}, key=("start_s",))
        for buckets in (MINUTES, HOURS)
    ),
)
