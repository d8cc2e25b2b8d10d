"""The user: an account, its profile and its role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, assert_never

from commands.aggregate import Aggregate, State, UniqueValue
from events.base import Command, Event, Id
from events.errors import NotFound, NotPermitted
from events.privacy import Personal
from events.users import (
    DOMAIN,
    ProfileUpdated,
    Role,
    RoleChanged,
    UserErased,
    UserRegistered,
)


class UserCommand(Command):
    domain = DOMAIN

    user_id: Id

    def key(self) -> str:
        return self.user_id

    def stream(self) -> str:
        return f"user-{self.user_id}"


class RegisterUser(UserCommand):
    """Open an account; the password arrives hashed, so that no log ever sees it."""

    name = "user.register"

    username: Annotated[str, Personal("user_id")]
    email: Annotated[str, Personal("user_id")]
    password_hash: Annotated[str, Personal("user_id")]


class UpdateProfile(UserCommand):
    name = "user.update_profile"

    bio: Annotated[str | None, Personal("user_id")] = None
    avatar_url: Annotated[str | None, Personal("user_id")] = None
    actor_id: Id
    actor_role: Role


class ChangeRole(UserCommand):
    name = "user.change_role"

    role: Role


class EraseUser(UserCommand):
    """Close the account for ever, so that its person can be forgotten."""

    name = "user.erase"


class User(State):
    registered: bool = False
    erased: bool = False
    role: Role = Role.VIEWER


def evolve(state: User, event: UserRegistered | ProfileUpdated | RoleChanged | UserErased) -> User:
    match event:
        case UserRegistered():
            return User(registered=True, role=event.role)
        case RoleChanged():
            return state.model_copy(update={"role": event.role})
        case ProfileUpdated():
            return state
        case UserErased():
            return state.model_copy(update={"erased": True, "role": Role.VIEWER})
        case _:
            assert_never(event)


def decide(
    command: RegisterUser | UpdateProfile | ChangeRole | EraseUser, state: User
) -> Sequence[Event]:
    if isinstance(command, RegisterUser):
        return [] if state.registered else [_registered(command)]
    if isinstance(command, EraseUser) and state.erased:
        return []
    if not state.registered or state.erased:
        raise NotFound("No such user", code="USER_NOT_FOUND")
    match command:
        case UpdateProfile():
            return _update_profile(command)
        case ChangeRole():
            change = RoleChanged(user_id=command.user_id, role=command.role)
            return [] if state.role == command.role else [change]
        case EraseUser():
            return [UserErased(user_id=command.user_id)]
        case _:
            assert_never(command)


def _registered(command: RegisterUser) -> UserRegistered:
    return UserRegistered(
        user_id=command.user_id,
        username=command.username,
        email=command.email,
        password_hash=command.password_hash,
    )


def _update_profile(command: UpdateProfile) -> Sequence[Event]:
    if command.actor_id != command.user_id and command.actor_role is not Role.ADMIN:
        raise NotPermitted("Insufficient permissions")
    if command.bio is None and command.avatar_url is None:
        return []
    return [ProfileUpdated(user_id=command.user_id, bio=command.bio, avatar_url=command.avatar_url)]


def unique(command: UserCommand) -> Sequence[UniqueValue]:
    """Two accounts never share a username or an email, whatever the case of their letters."""
    if not isinstance(command, RegisterUser):
        return ()
    return (
        UniqueValue("username", command.username.casefold()),
        UniqueValue("email", command.email.casefold()),
    )


def answer(command: UserCommand, state: User) -> dict[str, Any]:
    return {"id": command.user_id, "role": state.role}


USER = Aggregate(
    name="user",
    domain=DOMAIN,
    initial=User(),
    commands=(RegisterUser, UpdateProfile, ChangeRole, EraseUser),
    events=(UserRegistered, ProfileUpdated, RoleChanged, UserErased),
    decide=decide,
    evolve=evolve,
    answer=answer,
    unique=unique,
)
