"""Who follows whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from commands.aggregate import Aggregate, State
from events.base import Command, Event, Id
from events.errors import Unprocessable
from events.follows import DOMAIN, UserFollowed, UserUnfollowed


class FollowCommand(Command):
    domain = DOMAIN

    follower_id: Id
    creator_id: Id

    def key(self) -> str:
        return self.follower_id

    def stream(self) -> str:
        return f"follow-{self.follower_id}:{self.creator_id}"


class FollowUser(FollowCommand):
    name = "user.follow"


class UnfollowUser(FollowCommand):
    name = "user.unfollow"


class Follow(State):
    following: bool = False


def evolve(state: Follow, event: UserFollowed | UserUnfollowed) -> Follow:  # noqa: ARG001
    return Follow(following=isinstance(event, UserFollowed))


def decide(command: FollowUser | UnfollowUser, state: Follow) -> Sequence[Event]:
    if command.follower_id == command.creator_id:
        raise Unprocessable("Nobody can follow themselves", code="SELF_FOLLOW")
    wanted = isinstance(command, FollowUser)
    if state.following == wanted:
        return []
    fact = UserFollowed if wanted else UserUnfollowed
    return [fact(follower_id=command.follower_id, creator_id=command.creator_id)]


def answer(command: FollowCommand, state: Follow) -> dict[str, Any]:
    return {"userId": command.creator_id, "following": state.following}


FOLLOW = Aggregate(
    name="follow",
    domain=DOMAIN,
    initial=Follow(),
    commands=(FollowUser, UnfollowUser),
    events=(UserFollowed, UserUnfollowed),
    decide=decide,
    evolve=evolve,
    answer=answer,
)
