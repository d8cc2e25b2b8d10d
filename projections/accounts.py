"""Accounts and profiles: what signing in and profile pages look at (Postgres)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from events.base import Event, Recorded
from events.engagement import VideoViewed
from events.follows import UserFollowed, UserUnfollowed
from events.users import ProfileUpdated, RoleChanged, UserErased, UserRegistered
from events.videos import VideoCreated, VideoDeleted
from projections.declaration import Change, Increment, Projection, Put, Store, Table

USERS = Table(
    name="users",
    columns={
        "id": "uuid",
        "username": "varchar(50) UNIQUE",
        "email": "varchar(255) UNIQUE",
        "password_hash": "varchar(255)",
        "role": "text DEFAULT 'viewer'",
        "avatar_url": "text",
        "bio": "text",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
        "total_views": "bigint NOT NULL DEFAULT 0",
        "total_uploads": "bigint NOT NULL DEFAULT 0",
        "follower_count": "bigint NOT NULL DEFAULT 0",
        "following_count": "bigint NOT NULL DEFAULT 0",
    },
    key=("id",),
    indexes=("(lower(username))", "(lower(email))", "(created_at)"),
)


#: What remains of an account whose person was forgotten; without ``created_at`` nobody sees it.
_NOBODY = dict.fromkeys(
    ("username", "email", "password_hash", "role", "avatar_url", "bio", "created_at")
)


def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    # What there is most of comes first, and only what needs it asks for the time.
    match event:
        case VideoViewed():
            yield Increment("users", (event.creator_id,), {"total_views": 1})
        case UserFollowed():
            yield Increment("users", (event.creator_id,), {"follower_count": 1})
            yield Increment("users", (event.follower_id,), {"following_count": 1})
        case UserUnfollowed():
            yield Increment("users", (event.creator_id,), {"follower_count": -1})
            yield Increment("users", (event.follower_id,), {"following_count": -1})
        case VideoCreated():
            yield Increment("users", (event.creator_id,), {"total_uploads": 1})
        case VideoDeleted():
            yield Increment("users", (event.creator_id,), {"total_uploads": -1})
        case _:
            yield from _account(event, recorded.metadata.time)


def _account(event: Event, at: datetime) -> Iterable[Change]:
    match event:
        case UserRegistered():
            yield Put(
                "users",
                (event.user_id,),
                {
                    "username": event.username,
                    "email": event.email,
                    "password_hash": event.password_hash,
                    "role": event.role,
                    "created_at": at,
                    "updated_at": at,
                },
            )
        case ProfileUpdated():
            changes = event.model_dump(include={"bio", "avatar_url"}, exclude_none=True)
            yield Put("users", (event.user_id,), {**changes, "updated_at": at})
        case RoleChanged():
            yield Put("users", (event.user_id,), {"role": event.role, "updated_at": at})
        case UserErased():
            yield Put("users", (event.user_id,), {**_NOBODY, "updated_at": at})


ACCOUNTS = Projection(
    name="accounts",
    version=1,
    store=Store.POSTGRES,
    events=(
        UserRegistered,
        ProfileUpdated,
        RoleChanged,
        UserErased,
        VideoCreated,
        VideoDeleted,
        VideoViewed,
        UserFollowed,
        UserUnfollowed,
    ),
    evolve=evolve,
    tables=(USERS,),
)
