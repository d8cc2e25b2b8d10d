"""Who watched what, and what they did meanwhile: facts for analysts (ClickHouse).

``video_stats_daily`` is a view over the facts and so is never behind them. Sums that are kept
beside the facts would count an event twice when a runner that was paused writes its batch behind
the one that took over; aggregate states that forgive this hold an entry for every event, hence cost
what the facts themselves cost. The facts are sorted by video, then as they came: the days of one
video read its own rows only.
"""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Event, Recorded
from events.comments import CommentPosted
from events.engagement import (
    EngagementRecorded,
    VideoLiked,
    VideoShared,
    VideoUnliked,
    VideoViewed,
)
from projections.declaration import Append, Change, Projection, Store, Table
from projections.stamps import stamped

_NAME = "LowCardinality(String)"
_OPTIONAL_NAME = "LowCardinality(Nullable(String))"
_FACT = {
    "event_type": _NAME,
    "timestamp": "DateTime64(3, 'UTC')",
    "user_id": "Nullable(UUID)",
    "video_id": "UUID",
    "creator_id": "Nullable(UUID)",
    "session_id": "String",
    "watch_duration": "Float64",
    "device": _OPTIONAL_NAME,
    "country": _OPTIONAL_NAME,
    "event_id": "String",
}
_KEY = ("video_id",)

VIEWS = Table(name="views", columns={**_FACT, "referrer": "Nullable(String)"}, key=_KEY)
ENGAGEMENT = Table(
    name="engagement",
    columns={**_FACT, "position_seconds": "Nullable(Float64)", "channel": _OPTIONAL_NAME},
    key=_KEY,
)
#: Viewers are counted by account, and by session where nobody was signed in. Times are seconds.
VIDEO_STATS_DAILY = Table(
    name="video_stats_daily",
    columns={
        "video_id": "UUID",
        "day": "Date",
        "views": "UInt64",
        "unique_viewers": "UInt64",
        "avg_watch_duration": "Float64",
        "total_watch_time": "Float64",
    },
    key=("video_id", "day"),
    options={
        "select": "SELECT video_id, toDate(timestamp) AS day, count() AS views, "
        "uniqExact(ifNull(toString(user_id), session_id)) AS unique_viewers, "
        "avg(watch_duration) AS avg_watch_duration, sum(watch_duration) AS total_watch_time "
        "FROM {views} GROUP BY video_id, day"
    },
)


@stamped
def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    match event:
        case VideoViewed():
            yield Append(
                "views",
                {
                    **_fact(recorded, "video_view", event.video_id, event.user_id),
                    "creator_id": event.creator_id,
                    "session_id": event.session_id,
                    "watch_duration": event.watch_duration_seconds,
                    "device": event.device,
                    "country": event.country,
                    "referrer": event.referrer,
                },
            )
        case EngagementRecorded():
            yield Append(
                "engagement",
                {
                    **_fact(recorded, event.kind.value, event.video_id, event.user_id),
                    "creator_id": event.creator_id,
                    "session_id": event.session_id,
                    "watch_duration": event.watch_duration_seconds,
                    "device": event.device,
                    "country": event.country,
                    "position_seconds": event.position_seconds,
                },
            )
        case _:
            yield from _reaction(event, recorded)


def _reaction(event: Event, recorded: Recorded) -> Iterable[Change]:
    match event:
        case VideoLiked():
            fact = _fact(recorded, "like", event.video_id, event.user_id)
            yield Append("engagement", {**fact, "creator_id": event.creator_id})
        case VideoUnliked():
            fact = _fact(recorded, "unlike", event.video_id, event.user_id)
            yield Append("engagement", {**fact, "creator_id": event.creator_id})
        case VideoShared():
            fact = _fact(recorded, "share", event.video_id, event.user_id)
            shared = {"creator_id": event.creator_id, "channel": event.channel}
            yield Append("engagement", {**fact, **shared})
        case CommentPosted():
            yield Append("engagement", _fact(recorded, "comment", event.video_id, event.author_id))


def _fact(
    recorded: Recorded, event_type: str, video_id: str, user_id: str | None
) -> dict[str, object]:
    return {
        "event_type": event_type,
        "timestamp": recorded.metadata.time,
        "user_id": user_id,
        "video_id": video_id,
        "event_id": recorded.metadata.event_id,
    }


VIEWING = Projection(
    name="viewing",
    version=1,
    store=Store.CLICKHOUSE,
    events=(
        VideoViewed,
        EngagementRecorded,
        VideoLiked,
        VideoUnliked,
        VideoShared,
        CommentPosted,
    ),
    evolve=evolve,
    tables=(VIEWS, ENGAGEMENT, VIDEO_STATS_DAILY),
)
