"""Rate limits: fixed windows in Redis, by class of route (SH-140..145, WT-06..09)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Protocol

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from events.errors import RateLimited, StreamHubError, Unavailable
from infra.http.errors import failure_response
from infra.http.middleware import Header, add_headers
from schemas.http.paths import API

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``requests`` in ``window_s`` seconds a client; over it, blocked for ``block_s``."""

    name: str
    requests: int
    window_s: int
    block_s: int = 0


@dataclass(frozen=True, slots=True)
class Use:
    """What a client has used of a limit; ``reset_s`` until the window or the block ends."""

    used: int
    reset_s: int
    blocked: bool


class Limiter(Protocol):
    """Counts requests."""

    async def count(self, limit: Limit, client: str, place: str) -> Use:
        """Count one request of a client, by its address, for a place; raises Unavailable."""


_CLIENTS_KNOWN = 4_096
LOGIN = Limit("login", 5, 60, 300)
REGISTER = Limit("register", 3, 3600)
UPLOAD = Limit("upload", 10, 86_400)
COMMENT = Limit("comment", 20, 60)
READ = Limit("read", 1000, 60)
GENERAL = Limit("general", 100, 60, 60)
#: (method, path) of the routes with a limit of their own.
ROUTES: dict[tuple[str, str], Limit] = {
    ("POST", f"{API}/auth/login"): LOGIN,
    ("POST", "/console/sign-in"): LOGIN,
    ("POST", f"{API}/auth/register"): REGISTER,
    ("POST", f"{API}/videos"): UPLOAD,
    ("POST", f"{API}/comments"): COMMENT,
}

_REPLY = re.compile(rf"{API}/comments/[^/]+/reply/?$")
#: What an id may be written with besides its digits, in small or capital letters.
_OF_SPELLING = re.compile(r"urn:uuid:|[{}-]")


def limit_of(method: str, path: str) -> Limit | None:
    """Return the limit of a request; None outside the API, but for routes of their own."""
    own = ROUTES.get((method, path.rstrip("/")))
    if own is not None:
        return own
    if method == "POST" and _REPLY.match(path):
        return COMMENT
    if not path.startswith(API):
        return None
    return READ if method in {"GET", "HEAD", "OPTIONS"} else GENERAL


def _one_spelling(path: str) -> str:
    """Return a path that is the same however its ids are written, for one place is counted once."""
    return _OF_SPELLING.sub("", path.lower())


def _refused(_path: str, error: StreamHubError) -> Response:
    return failure_response(error)


class RateLimitMiddleware:
    """Refuses what is over its limit, and tells every client where it stands.

    ``refused`` makes the answer for a path whose limit is used up.
    """

    def __init__(
        self,
        app: ASGIApp,
        exempt: Sequence[str],
        refused: Callable[[str, StreamHubError], Response] = _refused,
    ) -> None:
        self._app = app
        self._refused = refused
        self._exempt = [ip_network(network) for network in exempt]
        #: The same clients come again and again.
        self._is_exempt = lru_cache(_CLIENTS_KNOWN)(self._look_up)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = limit_of(scope["method"], scope["path"]) if scope["type"] == "http" else None
        client = scope["client"][0] if scope.get("client") else "anonymous"
        if limit is None or self._is_exempt(client):
            await self._app(scope, receive, send)
            return
        use = await self._use(scope, limit, client)
        add_headers(scope, *_headers(limit, use))
        if use is not None and (use.blocked or use.used > limit.requests):
            error = RateLimited("Rate limit exceeded", retry_after_s=max(1, use.reset_s))
            await self._refused(scope["path"], error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _use(self, scope: Scope, limit: Limit, client: str) -> Use | None:
        """Count the request; a limiter that is away limits nobody."""
        limiter: Limiter = scope["app"].state.limiter
        # Routes without a limit of their own are counted each for itself (PN-37).
        place = _one_spelling(scope["path"]) if limit is GENERAL else limit.name
        try:
            return await limiter.count(limit, client, place)
        except Unavailable as error:
            log.warning("rate_limiter_unavailable", reason=error.message)
            return None

    def _look_up(self, client: str) -> bool:
        """Say whether no limit holds for an address."""
        try:
            address = ip_address(client)
        except ValueError:
            return False
        return any(address in network for network in self._exempt)


def _headers(limit: Limit, use: Use | None) -> Iterator[Header]:
    """Yield the fields of the IETF draft "RateLimit header fields for HTTP" (10)."""
    policy = f'"{limit.name}";q={limit.requests};w={limit.window_s}'
    yield b"ratelimit-policy", policy.encode()
    if use is not None:
        remaining = 0 if use.blocked else max(0, limit.requests - use.used)
        yield b"ratelimit", f'"{limit.name}";r={remaining};t={use.reset_s}'.encode()
