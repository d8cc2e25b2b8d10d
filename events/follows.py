"""Events of who follows whom: one stream a pair, keyed by the follower's id."""

from __future__ import annotations

from events.base import Event, Id

DOMAIN = "follows"


class UserFollowed(Event):
    name = "user.followed"
    domain = DOMAIN

    follower_id: Id
    creator_id: Id


class UserUnfollowed(Event):
    name = "user.unfollowed"
    domain = DOMAIN

    follower_id: Id
    creator_id: Id


EVENTS: tuple[type[Event], ...] = (UserFollowed, UserUnfollowed)
