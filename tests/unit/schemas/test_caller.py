"""Who is calling, and with what right."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from events.errors import NotPermitted, Unauthenticated, Unavailable
from events.users import Role
from schemas.http.caller import Authenticator, Claims, TokenSigner, TokenUse
from tests.unit.events.known import ADA, SESSION

SECRET = "0123456789abcdef0123456789abcdef"
SIGNER = TokenSigner(SECRET)
ISSUED = datetime.now(UTC).replace(microsecond=0)
#: Longer than any run of the tests: they are imported long before they run.
LIFE = timedelta(hours=24)
CLAIMS = Claims(
    user_id=ADA,
    role=Role.CREATOR,
    session_id=SESSION,
    generation=3,
    use=TokenUse.ACCESS,
    issued_at=ISSUED,
    expires_at=ISSUED + LIFE,
)
PAYLOAD: dict[str, Any] = {
    "sub": ADA,
    "role": "admin",
    "sid": SESSION,
    "gen": 0,
    "use": "access",
    "iat": int(ISSUED.timestamp()),
    "exp": int((ISSUED + LIFE).timestamp()),
}


class Revoked:
    """Implements ``schemas.http.caller.Revocations``."""

    def __init__(self, *sessions: str, away: bool = False) -> None:
        self._sessions = sessions
        self._away = away

    async def is_revoked(self, session_id: str) -> bool:
        if self._away:
            raise Unavailable("Redis is away")
        return session_id in self._sessions


def unsigned(payload: dict[str, Any], algorithm: str) -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts]
    return b".".join(part.rstrip(b"=") for part in encoded).decode() + "."


def test_a_token_says_what_was_signed() -> None:
    assert SIGNER.read(SIGNER.sign(CLAIMS), TokenUse.ACCESS) == CLAIMS


def test_the_same_claims_are_the_same_token() -> None:
    assert SIGNER.sign(CLAIMS) == TokenSigner(SECRET).sign(CLAIMS)


@pytest.mark.parametrize(
    "token",
    [
        SIGNER.sign(replace(CLAIMS, expires_at=ISSUED - timedelta(seconds=1))),
        SIGNER.sign(replace(CLAIMS, use=TokenUse.REFRESH)),
        TokenSigner(SECRET[::-1]).sign(CLAIMS),
        unsigned(PAYLOAD, "none"),
        unsigned(PAYLOAD, "None"),
        unsigned(PAYLOAD, "HS256"),
        jwt.encode(PAYLOAD, SECRET * 2, algorithm="HS512"),
        jwt.encode({**PAYLOAD, "role": "emperor"}, SECRET, algorithm="HS256"),
        jwt.encode({**PAYLOAD, "use": "toy"}, SECRET, algorithm="HS256"),
        jwt.encode({k: v for k, v in PAYLOAD.items() if k != "exp"}, SECRET, algorithm="HS256"),
        jwt.encode({k: v for k, v in PAYLOAD.items() if k != "sid"}, SECRET, algorithm="HS256"),
        SIGNER.sign(CLAIMS)[:-2] + "AA",
        "",
        "nonsense",
    ],
    ids=[
        "expired",
        "refresh token",
        "other secret",
        "alg none",
        "alg None",
        "no signature",
        "other algorithm",
        "unknown role",
        "unknown use",
        "never expires",
        "no session",
        "other signature",
        "empty",
        "nonsense",
    ],
)
def test_a_token_that_proves_nothing_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        SIGNER.read(token, TokenUse.ACCESS)


def test_a_token_that_was_read_before_is_refused_when_it_has_expired() -> None:
    claims = replace(CLAIMS, expires_at=datetime.now(UTC) + timedelta(seconds=2))
    token = SIGNER.sign(claims)
    SIGNER.read(token, TokenUse.ACCESS)
    with pytest.raises(Unauthenticated):
        _read_for(token, timedelta(seconds=10))


def _read_for(token: str, span: timedelta) -> None:
    deadline = datetime.now(UTC) + span
    while datetime.now(UTC) < deadline:
        SIGNER.read(token, TokenUse.ACCESS)
        time.sleep(0.01)


def test_a_changed_payload_breaks_the_signature() -> None:
    head, _, signature = SIGNER.sign(CLAIMS).split(".")
    payload = unsigned(PAYLOAD, "HS256").split(".")[1]
    with pytest.raises(Unauthenticated):
        SIGNER.read(f"{head}.{payload}.{signature}", TokenUse.ACCESS)


def test_an_access_token_is_no_refresh_token() -> None:
    with pytest.raises(Unauthenticated):
        SIGNER.read(SIGNER.sign(CLAIMS), TokenUse.REFRESH)


@pytest.mark.parametrize(("life", "hours"), [(timedelta(hours=5), 5), (timedelta(hours=48), 24)])
def test_a_pair_is_an_access_and_a_refresh_token(life: timedelta, hours: int) -> None:
    refresh = replace(CLAIMS, use=TokenUse.REFRESH)
    access_token, refresh_token = SIGNER.pair(refresh, life)
    assert SIGNER.read(refresh_token, TokenUse.REFRESH) == refresh
    access = SIGNER.read(access_token, TokenUse.ACCESS)
    assert access.expires_at == ISSUED + timedelta(hours=hours)


async def test_a_caller_without_credentials_is_anonymous() -> None:
    caller = await Authenticator(SIGNER, Revoked()).caller(None, "203.0.113.7", "agent")
    assert (caller.identity, caller.role, caller.is_admin) == (None, Role.VIEWER, False)
    with pytest.raises(Unauthenticated):
        _ = caller.user_id
    with pytest.raises(Unauthenticated):
        caller.require(*Role)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_bearer_token_names_the_caller(scheme: str) -> None:
    authenticator = Authenticator(SIGNER, Revoked())
    caller = await authenticator.caller(f"{scheme}  {SIGNER.sign(CLAIMS)} ", "", "")
    assert caller.user_id == caller.identity == ADA
    assert caller.require(Role.CREATOR, Role.ADMIN) == ADA
    with pytest.raises(NotPermitted):
        caller.require(Role.ADMIN)


async def test_an_admin_is_known_as_one() -> None:
    token = SIGNER.sign(replace(CLAIMS, role=Role.ADMIN))
    caller = await Authenticator(SIGNER, Revoked()).caller(f"Bearer {token}", "", "")
    assert caller.is_admin


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer nonsense", f"Basic {SIGNER.sign(CLAIMS)}", "", "x"]
)
async def test_worthless_credentials_are_worse_than_none(authorization: str) -> None:
    caller = await Authenticator(SIGNER, Revoked()).caller(authorization, "", "")
    with pytest.raises(Unauthenticated):
        _ = caller.identity


async def test_a_revoked_session_proves_nothing() -> None:
    authorization = f"Bearer {SIGNER.sign(CLAIMS)}"
    caller = await Authenticator(SIGNER, Revoked(SESSION)).caller(authorization, "", "")
    with pytest.raises(Unauthenticated):
        _ = caller.identity


async def test_a_refusal_is_raised_when_nobody_knows_of_revocations() -> None:
    authorization = f"Bearer {SIGNER.sign(CLAIMS)}"
    caller = await Authenticator(SIGNER, Revoked(away=True)).caller(authorization, "", "")
    with pytest.raises(Unavailable):
        _ = caller.identity
