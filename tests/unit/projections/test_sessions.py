from __future__ import annotations

from datetime import timedelta

from events.sessions import RevocationReason, SessionRefreshed, SessionRevoked, SessionStarted
from events.users import Role
from projections.declaration import RedisCommand
from projections.sessions import SESSIONS
from tests.unit.events.known import ADA, NOW, SESSION, recorded

ENDS = NOW + timedelta(hours=24)
ENDS_MS = int(ENDS.timestamp() * 1000)


def test_a_session_is_kept_until_it_ends() -> None:
    started = SessionStarted(
        session_id=SESSION,
        user_id=ADA,
        role=Role.CREATOR,
        device="phone",
        ip_address="192.0.2.1",
        expires_at=ENDS,
    )
    key = f"session:{SESSION}"
    fields = ("userId", ADA, "device", "phone", "role", "creator")
    assert list(SESSIONS.evolve(recorded(started))) == [
        RedisCommand(("HSET", key, *fields, "expiresAt", "2026-03-02T09:30:00.000000Z")),
        RedisCommand(("PEXPIREAT", key, ENDS_MS)),
    ]


def test_the_address_of_a_caller_is_not_kept() -> None:
    started = SessionStarted(
        session_id=SESSION,
        user_id=ADA,
        role=Role.VIEWER,
        device="phone",
        ip_address="192.0.2.1",
        expires_at=ENDS,
    )
    assert "192.0.2.1" not in repr(list(SESSIONS.evolve(recorded(started))))


def test_a_revoked_session_is_forgotten_and_its_tokens_are_refused_until_it_would_have_ended() -> (
    None
):
    revoked = SessionRevoked(
        session_id=SESSION, user_id=ADA, reason=RevocationReason.LOGOUT, expires_at=ENDS
    )
    assert list(SESSIONS.evolve(recorded(revoked))) == [
        RedisCommand(("DEL", f"session:{SESSION}")),
        RedisCommand(("SET", f"revoked:{SESSION}", "logout", "PXAT", ENDS_MS)),
    ]


def test_refreshing_cannot_bring_an_ended_session_back() -> None:
    refreshed = SessionRefreshed(session_id=SESSION, user_id=ADA, role=Role.VIEWER, generation=2)
    assert list(SESSIONS.evolve(recorded(refreshed))) == []
