"""Profiles and follows."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import HttpUrl, StringConstraints, model_validator

from commands.endpoints.fields import ShortText
from commands.follows import FollowUser, UnfollowUser
from commands.services import Commander, RequestCommander
from commands.users import UpdateProfile
from events.errors import NotFound
from schemas.http.envelope import ApiModel, Envelope, RequestModel
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=f"{API}/users", tags=["users"], route_class=Route)


class ProfileBody(RequestModel):
    bio: ShortText | None = None
    avatar_url: Annotated[HttpUrl, StringConstraints(max_length=500)] | None = None

    @model_validator(mode="after")
    def _something(self) -> ProfileBody:
        if self.bio is None and self.avatar_url is None:
            raise ValueError("at least one of bio, avatarUrl is needed")
        return self


class ProfileChanged(ApiModel):
    id: str


class Following(ApiModel):
    user_id: str
    following: bool


@router.put("/{user_id}")
async def update_profile(
    user_id: UUID, body: ProfileBody, commander: RequestCommander
) -> Envelope[ProfileChanged]:
    """Edit a profile: one's own, or anyone's for an admin."""
    actor_id = commander.caller.user_id
    await commander.services.keys.load([str(user_id)])
    outcome = await commander.execute(
        UpdateProfile(
            user_id=str(user_id),
            bio=body.bio,
            avatar_url=str(body.avatar_url) if body.avatar_url else None,
            actor_id=actor_id,
            actor_role=commander.caller.role,
        )
    )
    return Envelope(data=ProfileChanged(id=outcome.answer["id"]), meta=commander.meta)


@router.post("/{user_id}/follow")
async def follow(user_id: UUID, commander: RequestCommander) -> Envelope[Following]:
    """Follow a user; following twice changes nothing."""
    return await _follow(commander, str(user_id), FollowUser)


@router.delete("/{user_id}/follow")
async def unfollow(user_id: UUID, commander: RequestCommander) -> Envelope[Following]:
    """Stop following a user."""
    return await _follow(commander, str(user_id), UnfollowUser)


async def _follow(
    commander: Commander, creator_id: str, wish: type[FollowUser | UnfollowUser]
) -> Envelope[Following]:
    follower_id = commander.caller.user_id
    if not await commander.services.directory.user_exists(creator_id):
        raise NotFound("No such user", code="USER_NOT_FOUND")
    outcome = await commander.execute(wish(follower_id=follower_id, creator_id=creator_id))
    data = Following(user_id=creator_id, following=outcome.answer["following"])
    return Envelope(data=data, meta=commander.meta)
