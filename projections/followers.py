"""Followers: who follows whom (Postgres; the table is called ``subscriptions`` in the model)."""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Recorded
from events.follows import UserFollowed, UserUnfollowed
from projections.declaration import AfterPoison, Change, Projection, Put, Remove, Store, Table

SUBSCRIPTIONS = Table(
    name="subscriptions",
    columns={
        "subscriber_id": "uuid",
        "creator_id": "uuid CHECK (subscriber_id <> creator_id)",
        "notifications_enabled": "boolean NOT NULL DEFAULT true",
        "subscribed_at": "timestamptz NOT NULL",
    },
    key=("subscriber_id", "creator_id"),
    indexes=("(creator_id, subscribed_at DESC)", "(subscriber_id, subscribed_at DESC)"),
)


def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    match event:
        case UserFollowed():
            key = (event.follower_id, event.creator_id)
            yield Put("subscriptions", key, {"subscribed_at": recorded.metadata.time})
        case UserUnfollowed():
            yield Remove("subscriptions", (event.follower_id, event.creator_id))


FOLLOWERS = Projection(
    name="followers",
    version=1,
    store=Store.POSTGRES,
    events=(UserFollowed, UserUnfollowed),
    evolve=evolve,
    tables=(SUBSCRIPTIONS,),
    # Following anew after unfollowing brings a row back: nobody could tell a late removal from it.
    after_poison=AfterPoison.PARK,
)
