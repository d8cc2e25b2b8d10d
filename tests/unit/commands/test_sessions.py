"""Sessions: from sign-in over refreshing to their end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from commands.sessions import SESSION, RefreshSession, RevokeSession, StartSession
from events.sessions import (
    RevocationReason,
    SessionRefreshed,
    SessionRevoked,
    SessionStarted,
)
from events.users import Role
from tests.unit.commands.given import given
from tests.unit.events import known
from tests.unit.events.known import ADA, BEN, LATER, NOW

START = StartSession(
    session_id=known.SESSION,
    user_id=ADA,
    role=Role.VIEWER,
    device="phone",
    ip_address="203.0.113.7",
    expires_at=LATER,
)
STARTED = SessionStarted(
    session_id=known.SESSION,
    user_id=ADA,
    role=Role.VIEWER,
    device="phone",
    ip_address="203.0.113.7",
    expires_at=LATER,
)


def refresh(generation: int = 0, **changes: object) -> RefreshSession:
    command = RefreshSession(
        session_id=known.SESSION, user_id=ADA, generation=generation, role=Role.VIEWER, at=NOW
    )
    return command.model_copy(update=changes)


def refreshed(generation: int, role: Role = Role.VIEWER) -> SessionRefreshed:
    return SessionRefreshed(session_id=known.SESSION, user_id=ADA, role=role, generation=generation)


def revoke(user_id: str = ADA) -> RevokeSession:
    return RevokeSession(session_id=known.SESSION, user_id=user_id)


def revoked(reason: RevocationReason) -> SessionRevoked:
    return SessionRevoked(session_id=known.SESSION, user_id=ADA, reason=reason, expires_at=LATER)


def test_a_session_starts_in_generation_zero() -> None:
    assert given(SESSION).when(START).then(STARTED) == {
        "id": known.SESSION,
        "userId": ADA,
        "role": "viewer",
        "generation": 0,
        "expiresAt": LATER,
        "revoked": False,
    }


def test_a_session_starts_once() -> None:
    given(SESSION, STARTED).when(START).then_refused("SESSION_EXISTS")


def test_a_refresh_token_brings_the_next_generation() -> None:
    told = given(SESSION, STARTED).when(refresh(0)).then(refreshed(1))
    assert told["generation"] == 1
    given(SESSION, STARTED, refreshed(1)).when(refresh(1)).then(refreshed(2))


def test_a_refresh_takes_the_role_of_today() -> None:
    command = refresh(0, role=Role.ADMIN)
    told = given(SESSION, STARTED).when(command).then(refreshed(1, Role.ADMIN))
    assert told["role"] == "admin"


def test_a_refresh_token_that_was_used_ends_the_session() -> None:
    told = (
        given(SESSION, STARTED, refreshed(1))
        .when(refresh(0))
        .then(revoked(RevocationReason.REFRESH_REUSED))
    )
    assert told["revoked"] is True


def test_a_generation_that_was_never_given_ends_the_session() -> None:
    given(SESSION, STARTED).when(refresh(7)).then(revoked(RevocationReason.REFRESH_REUSED))


@pytest.mark.parametrize(
    ("late", "answer"), [(timedelta(microseconds=-1), None), (timedelta(0), "refused")]
)
def test_a_session_ends_at_its_time(late: timedelta, answer: str | None) -> None:
    decided = given(SESSION, STARTED).when(refresh(0, at=LATER + late))
    if answer is None:
        decided.then(refreshed(1))
    else:
        decided.then_refused("AUTHENTICATION_ERROR")


def test_a_session_is_refreshed_by_its_user_only() -> None:
    given(SESSION, STARTED).when(refresh(0, user_id=BEN)).then_refused("AUTHENTICATION_ERROR")


def test_a_session_that_never_was_or_has_ended_is_not_refreshed() -> None:
    given(SESSION).when(refresh(0)).then_refused("AUTHENTICATION_ERROR")
    ended = given(SESSION, STARTED, revoked(RevocationReason.LOGOUT))
    ended.when(refresh(0)).then_refused("AUTHENTICATION_ERROR")


def test_a_session_is_ended_once() -> None:
    end = revoked(RevocationReason.LOGOUT)
    given(SESSION, STARTED).when(revoke()).then(end)
    assert given(SESSION, STARTED, end).when(revoke()).then_nothing()["revoked"] is True


def test_a_session_is_ended_by_its_user_only() -> None:
    given(SESSION, STARTED).when(revoke(BEN)).then_refused("SESSION_NOT_FOUND")
    given(SESSION).when(revoke()).then_refused("SESSION_NOT_FOUND")
