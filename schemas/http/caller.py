"""Who is calling: bearer tokens (JWT, HS256) and the roles behind them.

A route never fails while its dependencies are resolved: validation comes before authentication
(PN-33), so the caller is asked for by ``user_id`` or ``require`` in the handler.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Protocol, cast

import jwt
from fastapi import Depends, Request

from events.errors import NotPermitted, StreamHubError, Unauthenticated
from events.users import Role

ALGORITHM = "HS256"
#: Verified tokens that a process remembers.
VERIFIED_TOKENS = 10_000


class TokenUse(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"
    #: Stands in a cookie of the operators' console, and opens nothing else.
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says; ``generation`` counts the refreshes of its session."""

    user_id: str
    role: Role
    session_id: str
    generation: int
    use: TokenUse
    issued_at: datetime
    expires_at: datetime


class TokenSigner:
    """Signs and reads tokens; the same claims give the same token."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._verified: dict[str, Claims] = {}

    def sign(self, claims: Claims) -> str:
        return jwt.encode(
            {
                "sub": claims.user_id,
                "role": claims.role,
                "sid": claims.session_id,
                "gen": claims.generation,
                "use": claims.use,
                "iat": int(claims.issued_at.timestamp()),
                "exp": int(claims.expires_at.timestamp()),
            },
            self._secret,
            algorithm=ALGORITHM,
        )

    def read(self, token: str, use: TokenUse) -> Claims:
        """Return the claims of a token that is ours, alive and of that use.

        A signature is checked once: the same text says the same until it expires.

        Raises:
            Unauthenticated: it is not.
        """
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
            if len(self._verified) >= VERIFIED_TOKENS:
                self._verified.clear()
            self._verified[token] = claims
        if claims.use is not use or claims.expires_at <= datetime.now(UTC):
            raise Unauthenticated("Authentication required")
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            data = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                # A clock that was ahead when it issued the token does not make it worthless.
                options={
                    "require": ["sub", "role", "sid", "gen", "use", "iat", "exp"],
                    "verify_iat": False,
                },
            )
            return Claims(
                user_id=data["sub"],
                role=Role(data["role"]),
                session_id=data["sid"],
                generation=int(data["gen"]),
                use=TokenUse(data["use"]),
                issued_at=datetime.fromtimestamp(data["iat"], UTC),
                expires_at=datetime.fromtimestamp(data["exp"], UTC),
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated("Authentication required") from error

    def pair(self, claims: Claims, access_life: timedelta) -> tuple[str, str]:
        """Return access and refresh token of a session generation; ``claims`` are the refresh's."""
        access = Claims(
            claims.user_id,
            claims.role,
            claims.session_id,
            claims.generation,
            TokenUse.ACCESS,
            claims.issued_at,
            min(claims.issued_at + access_life, claims.expires_at),
        )
        return self.sign(access), self.sign(claims)


class Revocations(Protocol):
    """The sessions whose tokens are worthless although they have not expired."""

    async def is_revoked(self, session_id: str) -> bool:
        """Say whether the session was ended; Unavailable is raised when nobody knows."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls; ``refusal`` says why the credentials that came prove nothing."""

    claims: Claims | None
    refusal: StreamHubError | None
    address: str
    agent: str

    @property
    def identity(self) -> str | None:
        """The caller's user id, or None for an anonymous caller.

        Raises:
            Unauthenticated: credentials came, and are worthless.
        """
        if self.refusal is not None:
            raise self.refusal
        return self.claims.user_id if self.claims else None

    @property
    def user_id(self) -> str:
        """The caller's user id.

        Raises:
            Unauthenticated: nobody known is calling.
        """
        identity = self.identity
        if identity is None:
            raise Unauthenticated("Authentication required")
        return identity

    @property
    def role(self) -> Role:
        return self.claims.role if self.claims else Role.VIEWER

    @property
    def is_admin(self) -> bool:
        return self.identity is not None and self.role is Role.ADMIN

    def require(self, *roles: Role) -> str:
        """Return the caller's user id when it has one of the roles.

        Raises:
            Unauthenticated: nobody known is calling.
            NotPermitted: the caller's role is not among them.
        """
        user_id = self.user_id
        if self.role not in roles:
            raise NotPermitted("Insufficient permissions")
        return user_id


class Authenticator:
    """Turns a request's bearer token into a caller."""

    def __init__(self, signer: TokenSigner, revocations: Revocations) -> None:
        self._signer = signer
        self._revocations = revocations

    async def caller(self, authorization: str | None, address: str, agent: str) -> Caller:
        if authorization is None:
            return Caller(None, None, address, agent)
        scheme, _, token = authorization.partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise Unauthenticated("Authentication required")
            claims = await self.claims(token.strip(), TokenUse.ACCESS)
        except StreamHubError as refusal:
            return Caller(None, refusal, address, agent)
        return Caller(claims, None, address, agent)

    async def claims(self, token: str, use: TokenUse) -> Claims:
        """Return the claims of a token of that use whose session goes on.

        Raises:
            Unauthenticated: it is worthless.
            Unavailable: nobody knows whether the session was ended.
        """
        claims = self._signer.read(token, use)
        if await self._revocations.is_revoked(claims.session_id):
            raise Unauthenticated("Authentication required")
        return claims


async def caller_of(request: Request) -> Caller:
    """Return the request's caller; the application keeps its ``Authenticator`` in its state."""
    authenticator = cast("Authenticator", request.app.state.authenticator)
    return await authenticator.caller(
        request.headers.get("authorization"),
        request.client.host if request.client else "",
        request.headers.get("user-agent", ""),
    )


AnyCaller = Annotated[Caller, Depends(caller_of)]
