"""Profiles and followers."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import TypeAdapter

from events.errors import NotFound
from events.users import Role
from projections.accounts import ACCOUNTS
from projections.followers import FOLLOWERS
from query_api.reading import Queries, Row, fresh, made_once
from query_api.sorting import Sort, sorted_page
from schemas.http.caller import AnyCaller
from schemas.http.envelope import ApiModel, Envelope
from schemas.http.paging import Page, page_meta, page_of
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=f"{API}/users", tags=["users"], route_class=Route)

_SUBSCRIBED = Sort("s.subscribed_at", "timestamptz")


class Profile(ApiModel):
    """A profile; the email is shown to its owner and admins only."""

    id: str
    username: str
    avatar: str | None
    bio: str | None
    role: Role
    email: str | None = None
    total_views: int
    total_uploads: int
    follower_count: int
    following_count: int
    is_following: bool = False
    created_at: datetime


class Person(ApiModel):
    """Somebody in a list of followers."""

    id: str
    username: str | None
    avatar: str | None
    follower_count: int
    subscribed_at: datetime


_PEOPLE = TypeAdapter(Envelope[list[Person]])


async def _profile(services: Queries, user_id: UUID) -> Row:
    row = await services.rows.fetchrow(
        "SELECT * FROM users WHERE id = $1 AND created_at IS NOT NULL", user_id
    )
    if row is None:
        raise NotFound("No such user", code="USER_NOT_FOUND")
    return row


@router.get("/{user_id}", dependencies=[Depends(fresh(ACCOUNTS, FOLLOWERS))])
async def get_user(user_id: UUID, services: Queries, caller: AnyCaller) -> Envelope[Profile]:
    """Return a profile with its counters."""
    row = await _profile(services, user_id)
    owns = caller.identity == str(user_id) or caller.is_admin
    following = caller.identity is not None and await services.rows.fetchrow(
        "SELECT 1 FROM subscriptions WHERE subscriber_id = $1 AND creator_id = $2",
        caller.identity,
        user_id,
    )
    return Envelope(
        data=Profile(
            id=str(row["id"]),
            username=row["username"],
            avatar=row["avatar_url"],
            bio=row["bio"],
            role=row["role"],
            email=row["email"] if owns else None,
            total_views=row["total_views"],
            total_uploads=row["total_uploads"],
            follower_count=row["follower_count"],
            following_count=row["following_count"],
            is_following=bool(following),
            created_at=row["created_at"],
        )
    )


@router.get(
    "/{user_id}/followers",
    response_model=Envelope[list[Person]],
    dependencies=[Depends(fresh(FOLLOWERS, ACCOUNTS))],
)
async def followers(
    user_id: UUID, services: Queries, page: Annotated[Page, Depends(page_of)]
) -> bytes:
    """List who follows a user, newest first."""
    return await _people(services, user_id, page, wanted="subscriber_id", by="creator_id")


@router.get(
    "/{user_id}/following",
    response_model=Envelope[list[Person]],
    dependencies=[Depends(fresh(FOLLOWERS, ACCOUNTS))],
)
async def following(
    user_id: UUID, services: Queries, page: Annotated[Page, Depends(page_of)]
) -> bytes:
    """List whom a user follows, newest first."""
    return await _people(services, user_id, page, wanted="creator_id", by="subscriber_id")


async def _people(services: Queries, user_id: UUID, page: Page, *, wanted: str, by: str) -> bytes:
    find = partial(_found, services, user_id, page, wanted=wanted, by=by)
    return await made_once(services, (wanted, user_id, repr(page)), _PEOPLE, find)


async def _found(
    services: Queries, user_id: UUID, page: Page, *, wanted: str, by: str
) -> Envelope[list[Person]]:
    await _profile(services, user_id)
    found = await sorted_page(
        services.rows,
        columns="u.id, u.username, u.avatar_url, u.follower_count, s.subscribed_at",
        source=f"FROM subscriptions s JOIN users u ON u.id = s.{wanted} WHERE s.{by} = $1",
        arguments=(user_id,),
        sort=_SUBSCRIBED,
        identity=f"s.{wanted}",
        page=page,
    )
    data = [
        Person(
            id=str(row["id"]),
            username=row["username"],
            avatar=row["avatar_url"],
            follower_count=row["follower_count"],
            subscribed_at=row["subscribed_at"],
        )
        for row in found.rows
    ]
    return Envelope(data=data, meta=page_meta(page, found.total, found.next_cursor))
