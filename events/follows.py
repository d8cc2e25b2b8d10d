"""Events of who follows whom: one stream a pair, keyed by the follower's id."""

from __future__ import annotations

from events.base import Event, Id

DOMAIN = "follows"


class UserFollowed(Event):
    """The follower wants to hear of the creator."""

    name = "user.followed"
    domain = DOMAIN

    follower_id: Id
    creator_id: Id


class UserUnfollowed(Event):
    """The follower wants to hear of the creator no more."""

    name = "user.unfollowed"
    domain = DOMAIN

    follower_id: Id
    creator_id: Id


EVENTS: tuple[type[Event], ...] = (UserFollowed, UserUnfollowed)
