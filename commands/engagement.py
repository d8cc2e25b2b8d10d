"""What viewers do with a video: likes, shares, views and the beats of the player.

Views, shares and beats decide nothing, but they are commands like the rest: a view's command id
is made from session, video and window, so that however often it is sent it counts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from commands.aggregate import Aggregate, State
from events.base import Command, Event, Id
from events.engagement import (
    DOMAIN,
    EngagementKind,
    EngagementRecorded,
    VideoLiked,
    VideoShared,
    VideoUnliked,
    VideoViewed,
)


class EngagementCommand(Command):
    domain = DOMAIN

    video_id: Id
    creator_id: Id

    def key(self) -> str:
        return self.video_id


class LikeVideo(EngagementCommand):
    name = "video.like"

    user_id: Id

    def stream(self) -> str:
        return f"like-{self.video_id}:{self.user_id}"


class UnlikeVideo(EngagementCommand):
    name = "video.unlike"

    user_id: Id

    def stream(self) -> str:
        return f"like-{self.video_id}:{self.user_id}"


class ShareVideo(EngagementCommand):
    name = "video.share"

    user_id: Id | None
    channel: str

    def stream(self) -> str:
        return f"shares-{self.video_id}"


class RecordView(EngagementCommand):
    name = "video.record_view"

    user_id: Id | None
    session_id: str
    watch_duration_seconds: float
    device: str | None
    country: str | None
    referrer: str | None

    def stream(self) -> str:
        return f"views-{self.video_id}"


class RecordEngagement(EngagementCommand):
    name = "video.record_engagement"

    user_id: Id | None
    session_id: str
    kind: EngagementKind
    position_seconds: float
    watch_duration_seconds: float
    device: str | None
    country: str | None

    def stream(self) -> str:
        return f"beats-{self.video_id}"


class Like(State):
    liked: bool = False


_LIKED, _NOT_LIKED = Like(liked=True), Like()


class Tally(State):
    """A stream of facts has no state; its version counts them."""


def evolve_like(state: Like, event: VideoLiked | VideoUnliked) -> Like:  # noqa: ARG001
    return _LIKED if isinstance(event, VideoLiked) else _NOT_LIKED


def evolve_tally(state: Tally, event: Event) -> Tally:  # noqa: ARG001
    return state


def decide_like(command: LikeVideo | UnlikeVideo, state: Like) -> Sequence[Event]:
    wanted = isinstance(command, LikeVideo)
    if state.liked == wanted:
        return []
    fact = VideoLiked if wanted else VideoUnliked
    return [fact(**vars(command))]


def record(
    command: ShareVideo | RecordView | RecordEngagement,
    state: Tally,  # noqa: ARG001
) -> Sequence[Event]:
    match command:
        case ShareVideo():
            return [VideoShared(**vars(command))]
        case RecordView():
            return [VideoViewed(**vars(command))]
        case RecordEngagement():
            return [EngagementRecorded(**vars(command))]
        case _:
            assert_never(command)


def answer_like(command: LikeVideo | UnlikeVideo, state: Like) -> dict[str, Any]:
    return {"videoId": command.video_id, "liked": state.liked}


def answer_tally(command: EngagementCommand, state: Tally) -> dict[str, Any]:  # noqa: ARG001
    return {"videoId": command.video_id, "recorded": True}


def _tally(
    name: str, command_type: type[EngagementCommand], event_type: type[Event]
) -> Aggregate[Tally]:
    return Aggregate(
        name=name,
        domain=DOMAIN,
        initial=Tally(),
        commands=(command_type,),
        events=(event_type,),
        decide=record,
        evolve=evolve_tally,
        answer=answer_tally,
    )


LIKE = Aggregate(
    name="like",
    domain=DOMAIN,
    initial=Like(),
    commands=(LikeVideo, UnlikeVideo),
    events=(VideoLiked, VideoUnliked),
    decide=decide_like,
    evolve=evolve_like,
    answer=answer_like,
)
SHARES = _tally("shares", ShareVideo, VideoShared)
VIEWS = _tally("views", RecordView, VideoViewed)
BEATS = _tally("beats", RecordEngagement, EngagementRecorded)
