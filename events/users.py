"""Events of people: one stream a user, keyed by the user's id."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from events.base import Event, Id
from events.privacy import Personal

DOMAIN = "users"


class Role(StrEnum):
    VIEWER = "viewer"
    CREATOR = "creator"
    ADMIN = "admin"


class UserRegistered(Event):
    """An account was opened. The bcrypt hash is as personal as what it guards."""

    name = "user.registered"
    domain = DOMAIN

    user_id: Id
    username: Annotated[str, Personal("user_id")]
    email: Annotated[str, Personal("user_id")]
    password_hash: Annotated[str, Personal("user_id")]
    role: Role = Role.VIEWER


class ProfileUpdated(Event):
    """The profile was edited; a field that is absent did not change."""

    name = "user.profile_updated"
    domain = DOMAIN

    user_id: Id
    bio: Annotated[str | None, Personal("user_id")] = None
    avatar_url: Annotated[str | None, Personal("user_id")] = None


class RoleChanged(Event):
    """An operator gave the user another role."""

    name = "user.role_changed"
    domain = DOMAIN

    user_id: Id
    role: Role


class UserErased(Event):
    """The account is gone for ever and its person forgotten; only the id remains."""

    name = "user.erased"
    domain = DOMAIN

    user_id: Id


EVENTS: tuple[type[Event], ...] = (UserRegistered, ProfileUpdated, RoleChanged, UserErased)
