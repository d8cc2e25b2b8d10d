"""Events of sessions: one stream a session, keyed by the session's id."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from events.base import Event, Id
from events.privacy import Personal
from events.users import Role

DOMAIN = "sessions"


class RevocationReason(StrEnum):
    LOGOUT = "logout"
    REFRESH_REUSED = "refresh_reused"


class SessionStarted(Event):
    """Credentials were right and a session was opened."""

    name = "session.started"
    domain = DOMAIN

    session_id: Id
    user_id: Id
    role: Role
    device: Annotated[str, Personal("user_id")]
    ip_address: Annotated[str, Personal("user_id")]
    expires_at: datetime


class SessionRefreshed(Event):
    """The refresh token was traded for the next generation of tokens."""

    name = "session.refreshed"
    domain = DOMAIN

    session_id: Id
    user_id: Id
    role: Role
    generation: int


class SessionRevoked(Event):
    """The session's tokens are worthless from now on."""

    name = "session.revoked"
    domain = DOMAIN

    session_id: Id
    user_id: Id
    reason: RevocationReason
    expires_at: datetime


EVENTS: tuple[type[Event], ...] = (SessionStarted, SessionRefreshed, SessionRevoked)
