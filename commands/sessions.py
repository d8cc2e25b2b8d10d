"""The session: from login to logout, with rotating refresh tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, assert_never

from commands.aggregate import Aggregate, State
from events.base import Command, Event, Id
from events.errors import Conflict, NotFound, Unauthenticated
from events.privacy import Personal
from events.sessions import (
    DOMAIN,
    RevocationReason,
    SessionRefreshed,
    SessionRevoked,
    SessionStarted,
)
from events.users import Role


class SessionCommand(Command):
    domain = DOMAIN

    session_id: Id
    user_id: Id

    def key(self) -> str:
        return self.session_id

    def stream(self) -> str:
        return f"session-{self.session_id}"


class StartSession(SessionCommand):
    """Open a session for somebody whose credentials the endpoint has checked."""

    name = "session.start"

    role: Role
    device: Annotated[str, Personal("user_id")]
    ip_address: Annotated[str, Personal("user_id")]
    expires_at: datetime


class RefreshSession(SessionCommand):
    """Trade the refresh token of ``generation`` for the next; ``at`` is the time of asking."""

    name = "session.refresh"

    generation: int
    role: Role
    at: datetime


class RevokeSession(SessionCommand):
    name = "session.revoke"


class Session(State):
    user_id: str | None = None
    role: Role = Role.VIEWER
    generation: int = 0
    expires_at: datetime | None = None
    revoked: bool = False


def evolve(state: Session, event: SessionStarted | SessionRefreshed | SessionRevoked) -> Session:
    match event:
        case SessionStarted():
            return Session(user_id=event.user_id, role=event.role, expires_at=event.expires_at)
        case SessionRefreshed():
            return state.model_copy(update={"generation": event.generation, "role": event.role})
        case SessionRevoked():
            return state.model_copy(update={"revoked": True})
        case _:
            assert_never(event)


def decide(
    command: StartSession | RefreshSession | RevokeSession, state: Session
) -> Sequence[Event]:
    match command:
        case StartSession():
            return _start(command, state)
        case RefreshSession():
            return _refresh(command, state)
        case RevokeSession():
            return _revoke(command, state, RevocationReason.LOGOUT)
        case _:
            assert_never(command)


def _start(command: StartSession, state: Session) -> Sequence[Event]:
    if state.user_id is not None:
        raise Conflict("The session exists already", code="SESSION_EXISTS")
    return [
        SessionStarted(
            session_id=command.session_id,
            user_id=command.user_id,
            role=command.role,
            device=command.device,
            ip_address=command.ip_address,
            expires_at=command.expires_at,
        )
    ]


def _refresh(command: RefreshSession, state: Session) -> Sequence[Event]:
    """A refresh token that was used already is stolen or lost: the session ends (RFC 9700)."""
    expired = state.expires_at is None or command.at >= state.expires_at
    if state.revoked or expired or state.user_id != command.user_id:
        raise Unauthenticated("Authentication required")
    if command.generation != state.generation:
        return _revoke(command, state, RevocationReason.REFRESH_REUSED)
    return [
        SessionRefreshed(
            session_id=command.session_id,
            user_id=command.user_id,
            role=command.role,
            generation=state.generation + 1,
        )
    ]


def _revoke(command: SessionCommand, state: Session, reason: RevocationReason) -> Sequence[Event]:
    if state.user_id != command.user_id or state.expires_at is None:
        raise NotFound("No such session", code="SESSION_NOT_FOUND")
    if state.revoked:
        return []
    return [
        SessionRevoked(
            session_id=command.session_id,
            user_id=command.user_id,
            reason=reason,
            expires_at=state.expires_at,
        )
    ]


def answer(command: SessionCommand, state: Session) -> dict[str, Any]:
    return {
        "id": command.session_id,
        "userId": command.user_id,
        "role": state.role,
        "generation": state.generation,
        "expiresAt": state.expires_at,
        "revoked": state.revoked,
    }


SESSION = Aggregate(
    name="session",
    domain=DOMAIN,
    initial=Session(),
    commands=(StartSession, RefreshSession, RevokeSession),
    events=(SessionStarted, SessionRefreshed, SessionRevoked),
    decide=decide,
    evolve=evolve,
    answer=answer,
)
