"""Accounts and sessions: register, login, refresh, logout."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import EmailStr, Field, StringConstraints

from commands.endpoints.fields import Device, Password, SignInEmail, Username
from commands.services import Commander, RequestCommander
from commands.sessions import RefreshSession, RevokeSession, StartSession
from commands.users import RegisterUser
from events.errors import Unauthenticated
from events.outcomes import CommandDecided
from events.users import Role
from schemas.http.caller import Claims, TokenUse
from schemas.http.envelope import ApiModel, Envelope, RequestModel
from schemas.http.paths import API
from schemas.http.routing import Route

router = APIRouter(prefix=f"{API}/auth", tags=["auth"], route_class=Route)

_DEVICE_CHARACTERS = 50


class RegisterBody(RequestModel):
    username: Username
    email: Annotated[EmailStr, Field(max_length=255)]
    password: Password


class RegisteredUser(ApiModel):
    id: str
    username: str


class LoginBody(RequestModel):
    email: SignInEmail
    password: Annotated[str, StringConstraints(min_length=1, max_length=72)]
    device: Device | None = None


class RefreshBody(RequestModel):
    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class Tokens(ApiModel):
    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105
    expires_in: int


class LoggedOut(ApiModel):
    id: str
    revoked: bool


@router.post("/register", status_code=201)
async def register(body: RegisterBody, commander: RequestCommander) -> Envelope[RegisteredUser]:
    """Open an account; username and email are unique, whatever the case of their letters."""
    commander.speaks_for(body.email)
    user_id = commander.new_id("user")
    services = commander.services
    await services.keys.create(user_id)
    outcome = await commander.execute(
        RegisterUser(
            user_id=user_id,
            username=body.username,
            email=body.email,
            password_hash=await services.passwords.hash(body.password),
        )
    )
    user = RegisteredUser(id=outcome.answer["id"], username=body.username)
    return Envelope(data=user, meta=commander.meta)


@router.post("/login")
async def login(body: LoginBody, commander: RequestCommander) -> Envelope[Tokens]:
    """Check the credentials and open a session."""
    commander.speaks_for(body.email)
    services = commander.services
    account = await services.directory.account(body.email)
    right = await services.passwords.verify(
        body.password, account.password_hash if account else None
    )
    if account is None or not right:
        raise Unauthenticated("Email or password is wrong", code="INVALID_CREDENTIALS")
    await services.keys.load([account.user_id])
    outcome = await commander.execute(
        StartSession(
            session_id=commander.new_id("session"),
            user_id=account.user_id,
            role=account.role,
            device=(body.device or commander.caller.agent or "unknown")[:_DEVICE_CHARACTERS],
            ip_address=commander.caller.address,
            expires_at=commander.time + services.limits.session_life,
        )
    )
    return _tokens(outcome, commander)


@router.post("/refresh")
async def refresh(body: RefreshBody, commander: RequestCommander) -> Envelope[Tokens]:
    """Trade a refresh token for new tokens; using one twice ends the session."""
    claims = commander.services.signer.read(body.refresh_token, TokenUse.REFRESH)
    commander.speaks_for(claims.session_id)
    role = await commander.services.directory.role(claims.user_id)
    if role is None:
        raise Unauthenticated("Authentication required")
    outcome = await commander.execute(
        RefreshSession(
            session_id=claims.session_id,
            user_id=claims.user_id,
            generation=claims.generation,
            role=role,
            at=commander.time,
        )
    )
    if outcome.answer["revoked"]:
        raise Unauthenticated("Authentication required")
    return _tokens(outcome, commander)


@router.post("/logout")
async def logout(commander: RequestCommander) -> Envelope[LoggedOut]:
    """End the session; its tokens are worthless when the answer arrives."""
    user_id = commander.caller.user_id
    claims = commander.caller.claims
    if claims is None:
        raise Unauthenticated("Authentication required")
    outcome = await commander.execute(RevokeSession(session_id=claims.session_id, user_id=user_id))
    place = outcome.position
    await commander.services.waiter.applied("redis", place.domain, place.partition, place.offset)
    return Envelope(
        data=LoggedOut(id=outcome.answer["id"], revoked=outcome.answer["revoked"]),
        meta=commander.meta,
    )


def _tokens(outcome: CommandDecided, commander: Commander) -> Envelope[Tokens]:
    """Return the tokens of a session's generation: the same ones for each try of a request."""
    answer: dict[str, Any] = outcome.answer
    expires_at = datetime.fromisoformat(str(answer["expiresAt"])).astimezone(UTC)
    claims = Claims(
        user_id=answer["userId"],
        role=Role(answer["role"]),
        session_id=answer["id"],
        generation=answer["generation"],
        use=TokenUse.REFRESH,
        issued_at=outcome.time,
        expires_at=expires_at,
    )
    life = commander.services.limits.access_token_life
    access_token, refresh_token = commander.services.signer.pair(claims, life)
    tokens = Tokens(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_in=int(min(life, expires_at - outcome.time).total_seconds()),
    )
    return Envelope(data=tokens, meta=commander.meta)
