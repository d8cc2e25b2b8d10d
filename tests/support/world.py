"""What the log says is true: an independent fold of all events, to compare every store with.

It shares no code with projections and aggregates: plain JSON in, plain counts out. Text that people
wrote is ciphertext here and is compared nowhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.log import Entry, Log

Pair = tuple[str, str]
#: What one of these says about a video in trends, in views.
TREND_WEIGHTS = {
    "video.viewed": 1,
    "video.liked": 4,
    "video.unliked": -4,
    "comment.posted": 5,
    "video.shared": 6,
}
#: The events that analysts find in the table ``engagement``.
_ENGAGEMENT = {
    "video.liked",
    "video.unliked",
    "video.shared",
    "video.engagement_recorded",
    "comment.posted",
}


@dataclass(slots=True)
class World:
    """Entities and relations as they must stand in the stores."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    user_counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    video_counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    likes: set[Pair] = field(default_factory=set)
    follows: set[Pair] = field(default_factory=set)
    comments: dict[str, dict[str, Any]] = field(default_factory=dict)
    comment_counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    comment_likes: set[Pair] = field(default_factory=set)
    comment_reports: set[Pair] = field(default_factory=set)
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    revoked: dict[str, str] = field(default_factory=dict)
    views: list[Entry] = field(default_factory=list)
    engagement: list[str] = field(default_factory=list)
    trends: dict[tuple[str, int], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    commands: dict[str, tuple[bool, int, int]] = field(default_factory=dict)


def fold(log: Log) -> World:
    """Return what the log says."""
    world = World()
    for entry in log.events:
        name = entry.type.rpartition(".v")[0]
        _HANDLERS[name](world, entry)
        if name in TREND_WEIGHTS:
            _trend(world, entry, TREND_WEIGHTS[name])
        if name in _ENGAGEMENT:
            world.engagement.append(entry.event_id)
    for outcome in log.outcomes:
        body = outcome.body
        accepted = body["refusal"] is None
        world.commands[body["command_id"]] = (
            accepted,
            body["event_count"],
            body["stream_version"],
        )
    return world


def epoch_s(time: str) -> float:
    """Return RFC 3339 text as seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


def _trend(world: World, entry: Entry, weight: int) -> None:
    for family, width_s in (("minutes", 300), ("hours", 3600)):
        start_s = int(epoch_s(entry.time) // width_s) * width_s
        world.trends[family, start_s][entry.body["video_id"]] += weight


Handler = Callable[[World, Entry], None]


def _registered(world: World, entry: Entry) -> None:
    world.users[entry.body["user_id"]] = {"role": entry.body["role"]}


def _role_changed(world: World, entry: Entry) -> None:
    world.users[entry.body["user_id"]]["role"] = entry.body["role"]


def _user_erased(world: World, entry: Entry) -> None:
    world.users[entry.body["user_id"]] = {}


def _session_started(world: World, entry: Entry) -> None:
    world.sessions[entry.body["session_id"]] = dict(entry.body)


def _session_revoked(world: World, entry: Entry) -> None:
    world.sessions.pop(entry.body["session_id"], None)
    world.revoked[entry.body["session_id"]] = entry.body["expires_at"]


def _created(world: World, entry: Entry) -> None:
    body = entry.body
    described = {name: body[name] for name in ("creator_id", "tags", "category", "visibility")}
    world.videos[body["video_id"]] = {"status": "processing", "blocked": False, **described}
    world.user_counts[body["creator_id"]]["total_uploads"] += 1


def _updated(world: World, entry: Entry) -> None:
    changes = {
        name: entry.body[name]
        for name in ("tags", "category", "visibility")
        if entry.body.get(name) is not None
    }
    world.videos[entry.body["video_id"]].update(changes)


def _deleted(world: World, entry: Entry) -> None:
    world.videos[entry.body["video_id"]]["status"] = "deleted"
    world.user_counts[entry.body["creator_id"]]["total_uploads"] -= 1


def _video(**changes: Any) -> Handler:
    def change(world: World, entry: Entry) -> None:
        world.videos[entry.body["video_id"]].update(changes)

    return change


def _nothing(world: World, entry: Entry) -> None:
    """Change nothing that is compared."""


def _liked(world: World, entry: Entry) -> None:
    world.likes.add((entry.body["user_id"], entry.body["video_id"]))
    world.video_counts[entry.body["video_id"]]["likes"] += 1


def _unliked(world: World, entry: Entry) -> None:
    world.likes.discard((entry.body["user_id"], entry.body["video_id"]))
    world.video_counts[entry.body["video_id"]]["likes"] -= 1


def _shared(world: World, entry: Entry) -> None:
    world.video_counts[entry.body["video_id"]]["shares"] += 1


def _viewed(world: World, entry: Entry) -> None:
    world.views.append(entry)
    world.video_counts[entry.body["video_id"]]["views"] += 1
    world.user_counts[entry.body["creator_id"]]["total_views"] += 1


def _posted(world: World, entry: Entry) -> None:
    body = entry.body
    world.comments[body["comment_id"]] = {
        "video_id": body["video_id"],
        "user_id": body["author_id"],
        "parent_comment_id": body["parent_comment_id"],
        "is_edited": False,
        "is_deleted": False,
        "is_hidden": False,
    }
    world.video_counts[body["video_id"]]["comments"] += 1
    if body["parent_comment_id"]:
        world.comment_counts[body["parent_comment_id"]]["reply_count"] += 1


def _comment_deleted(world: World, entry: Entry) -> None:
    body = entry.body
    world.comments[body["comment_id"]]["is_deleted"] = True
    world.video_counts[body["video_id"]]["comments"] -= 1
    if body["parent_comment_id"]:
        world.comment_counts[body["parent_comment_id"]]["reply_count"] -= 1


def _comment(**changes: Any) -> Handler:
    def change(world: World, entry: Entry) -> None:
        world.comments[entry.body["comment_id"]].update(changes)

    return change


def _comment_liked(world: World, entry: Entry) -> None:
    world.comment_likes.add((entry.body["user_id"], entry.body["comment_id"]))
    world.comment_counts[entry.body["comment_id"]]["like_count"] += 1


def _comment_unliked(world: World, entry: Entry) -> None:
    world.comment_likes.discard((entry.body["user_id"], entry.body["comment_id"]))
    world.comment_counts[entry.body["comment_id"]]["like_count"] -= 1


def _comment_reported(world: World, entry: Entry) -> None:
    world.comment_reports.add((entry.body["reporter_id"], entry.body["comment_id"]))
    world.comment_counts[entry.body["comment_id"]]["report_count"] += 1


def _report_erased(world: World, entry: Entry) -> None:
    world.comment_reports.discard((entry.body["reporter_id"], entry.body["comment_id"]))


def _followed(world: World, entry: Entry) -> None:
    follower, creator = entry.body["follower_id"], entry.body["creator_id"]
    world.follows.add((follower, creator))
    world.user_counts[creator]["follower_count"] += 1
    world.user_counts[follower]["following_count"] += 1


def _unfollowed(world: World, entry: Entry) -> None:
    follower, creator = entry.body["follower_id"], entry.body["creator_id"]
    world.follows.discard((follower, creator))
    world.user_counts[creator]["follower_count"] -= 1
    world.user_counts[follower]["following_count"] -= 1


def _scored(world: World, entry: Entry) -> None:
    case = world.cases.setdefault(entry.body["subject_id"], {})
    case["action"] = entry.body["action"]


def _reviewed(world: World, entry: Entry) -> None:
    case = world.cases.setdefault(entry.body["subject_id"], {})
    case["decision"] = entry.body["decision"]


_HANDLERS: Mapping[str, Handler] = {
    "user.registered": _registered,
    "user.profile_updated": _nothing,
    "user.role_changed": _role_changed,
    "user.erased": _user_erased,
    "session.started": _session_started,
    "session.refreshed": _nothing,
    "session.revoked": _session_revoked,
    "video.upload_requested": _nothing,
    "video.created": _created,
    "video.updated": _updated,
    "video.deleted": _deleted,
    "video.transcode_started": _nothing,
    "video.transcode_progressed": _nothing,
    "video.transcode_failed": _nothing,
    "video.ready": _video(status="ready"),
    "video.failed": _video(status="failed"),
    "video.blocked": _video(blocked=True),
    "video.unblocked": _video(blocked=False),
    "video.liked": _liked,
    "video.unliked": _unliked,
    "video.shared": _shared,
    "video.viewed": _viewed,
    "video.engagement_recorded": _nothing,
    "comment.posted": _posted,
    "comment.edited": _comment(is_edited=True),
    "comment.deleted": _comment_deleted,
    "comment.hidden": _comment(is_hidden=True),
    "comment.restored": _comment(is_hidden=False),
    "comment.liked": _comment_liked,
    "comment.unliked": _comment_unliked,
    "comment.reported": _comment_reported,
    "comment.report_erased": _report_erased,
    "user.followed": _followed,
    "user.unfollowed": _unfollowed,
    "content.scored": _scored,
    "content.reviewed": _reviewed,
    "content.review_note_erased": _nothing,
}


def handled_names() -> Iterable[str]:
    """Return the names of the events that the fold knows."""
    return _HANDLERS.keys()
