"""Who sits at the console: signing in and out, the cookie, and where a form may come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from commands.endpoints import auth
from commands.services import Commander
from events.errors import NotPermitted, RateLimited, StreamHubError, Unauthenticated
from events.users import Role
from infra.console.parts import ConsoleParts, Parts
from infra.console.rendering import ROOT, page, seen
from schemas.http.caller import Caller, Claims, TokenUse

log = structlog.get_logger(__name__)

router = APIRouter()

COOKIE = "streamhub_console"
#: Fields of a form at most, and letters that can be chosen in one.
_FIELDS = 250


class SignInNeeded(Unauthenticated):
    """Nobody known is calling; a browser is sent to the form."""


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin who is calling."""

    claims: Claims

    @property
    def id(self) -> str:
        return self.claims.user_id


async def admin_of(request: Request, parts: Parts) -> Admin:
    """Return the admin who calls.

    Raises:
        SignInNeeded: nobody known is calling, or the session has ended.
        NotPermitted: whoever calls is no admin any more.
    """
    token = request.cookies.get(COOKIE)
    if not token:
        raise SignInNeeded("Sign in first")
    try:
        claims = await parts.api.authenticator.claims(token, TokenUse.CONSOLE)
    except Unauthenticated:
        raise SignInNeeded("Your session has ended") from None
    if await parts.api.commands.directory.role(claims.user_id) is not Role.ADMIN:
        raise NotPermitted("The console is for admins")
    return Admin(claims)


AnAdmin = Annotated[Admin, Depends(admin_of)]


def from_here(request: Request, parts: Parts) -> None:
    """Refuse what another site has a browser send (beside the cookie's SameSite).

    Raises:
        NotPermitted: it does not come from a page of ours.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    allowed = {request.headers.get("host", "")}
    allowed.add(urlsplit(parts.core.settings.public_url).netloc)
    ours = urlsplit(origin).netloc in allowed - {""} if origin is not None else None
    if site not in {None, "same-origin"} or ours is False or (site is None and ours is None):
        raise NotPermitted("This form was not sent by a page of the console")


FromHere = Depends(from_here)


async def form_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form that a browser sent."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return parse_qs(body, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return {}


Form = Annotated[dict[str, list[str]], Depends(form_of)]


def said(form: dict[str, list[str]], field: str) -> str:
    """Return what a field says, "" where it is missing."""
    return form.get(field, [""])[0].strip()


def _onwards(path: str) -> str:
    """Return a path of the console to go on to after signing in; nobody is led elsewhere."""
    parts = urlsplit(path)
    inside = not parts.netloc and not parts.scheme and parts.path.startswith(f"{ROOT}/")
    return path if inside and "\\" not in path else f"{ROOT}/"


@router.get("/sign-in")
async def sign_in_form(next: str = "") -> Response:  # noqa: A002 - the parameter's name
    """Show the form."""
    return page("sign_in.html", {"admin": None, "next": _onwards(next), "problem": "", "email": ""})


@router.post("/sign-in", dependencies=[FromHere])
async def sign_in(request: Request, parts: Parts, form: Form) -> Response:
    """Open a session, by the command that opens everybody's."""
    email, onwards = said(form, "email"), _onwards(said(form, "next"))
    try:
        claims = await _open_session(request, parts, email, form.get("password", [""])[0])
    except (Unauthenticated, RateLimited) as refused:
        context = {"admin": None, "next": onwards, "problem": refused.message, "email": email}
        return page("sign_in.html", context, 401)
    answer = RedirectResponse(onwards, 303, {"Cache-Control": "no-store"})
    life_s = int((claims.expires_at - claims.issued_at).total_seconds())
    answer.set_cookie(
        COOKIE,
        parts.api.commands.signer.sign(replace(claims, use=TokenUse.CONSOLE)),
        max_age=life_s,
        path=ROOT,
        secure=_is_secure(request, parts),
        httponly=True,
        samesite="strict",
    )
    log.info("console_sign_in", actor=claims.user_id)
    return answer


async def _open_session(request: Request, parts: ConsoleParts, email: str, password: str) -> Claims:
    try:
        body = auth.LoginBody(email=email, password=password)
    except ValidationError:
        raise Unauthenticated("Email or password is wrong") from None
    tokens = (await auth.login(body, _commander(request, parts, None))).data
    claims = parts.api.commands.signer.read(tokens.refresh_token, TokenUse.REFRESH)
    if claims.role is not Role.ADMIN:
        await auth.logout(_commander(request, parts, claims))
        raise NotPermitted("The console is for admins")
    return claims


def _commander(request: Request, parts: ConsoleParts, claims: Claims | None) -> Commander:
    address = request.client.host if request.client else ""
    caller = Caller(claims, None, address, request.headers.get("user-agent", ""))
    return Commander(parts.api.commands, caller, request, Response())


def _is_secure(request: Request, parts: ConsoleParts) -> bool:
    return "https" in {request.url.scheme, urlsplit(parts.core.settings.public_url).scheme}


@router.post("/sign-out", dependencies=[FromHere])
async def sign_out(request: Request, parts: Parts) -> Response:
    """End the session; without one there is nothing to end."""
    try:
        admin = await admin_of(request, parts)
        await auth.logout(_commander(request, parts, admin.claims))
    except StreamHubError as error:
        log.warning("console_sign_out_failed", reason=error.message)
    answer = seen("/sign-in")
    answer.delete_cookie(COOKIE, path=ROOT)
    return answer
