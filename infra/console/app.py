"""The operators' console, an application of its own under ``/console``: pages for admins."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from commands.ports import OutcomePendingError
from events.errors import ErrorKind, NotFound, StreamHubError
from infra.console import letters, live, log, projections, session
from infra.console.parts import ConsoleParts
from infra.console.rendering import FILES, ROOT, STATIC, error_page, plain_page, version
from infra.console.session import SignInNeeded

logger = structlog.get_logger(__name__)


def create_console() -> FastAPI:
    """Return the console; it serves pages once it was given its parts."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for part in (session, projections, letters, log, live):
        app.include_router(part.router)
    app.add_api_route("/static/{name}", _file, methods=["GET"])
    app.add_exception_handler(StreamHubError, _refused)
    app.add_exception_handler(OutcomePendingError, _pending)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _unexpected)
    return app


def install_console(app: FastAPI, parts: ConsoleParts) -> None:
    """Let the console serve its pages."""
    app.state.parts = parts


async def _file(name: str, v: str = "") -> FileResponse:
    if name not in FILES:
        raise NotFound("There is no such file")
    kept = "public, max-age=31536000, immutable" if v == version() else "no-cache"
    headers = {"Cache-Control": kept}
    return FileResponse(STATIC / name, media_type=FILES[name], headers=headers)


async def _refused(request: Request, error: Exception) -> Response:
    refusal = cast("StreamHubError", error)
    if isinstance(refusal, SignInNeeded):
        return _sign_in_first(request, refusal)
    if refusal.kind is ErrorKind.INTERNAL:
        logger.error("internal_error", exc_info=error)
    return error_page(refusal)


def _sign_in_first(request: Request, refusal: StreamHubError) -> Response:
    """Send a browser to the form, and from there back to the page that it asked for."""
    url = request.url
    if url.path.startswith(f"{ROOT}/live/"):
        return plain_page(401, refusal.message)
    wanted = f"{url.path}?{url.query}" if url.query else url.path
    query = urlencode({"next": wanted}) if request.method == "GET" else ""
    return RedirectResponse(f"{ROOT}/sign-in?{query}", 303, {"Cache-Control": "no-store"})


async def _pending(_request: Request, _error: Exception) -> Response:
    return plain_page(503, "What you asked for is not decided yet; try again in a moment.")


async def _invalid(_request: Request, error: Exception) -> Response:
    problems = cast("RequestValidationError", error).errors()
    told = [f"{problem['loc'][-1]}: {problem['msg']}" for problem in problems]
    return plain_page(400, "The address or the form says something that cannot be.", told)


async def _plain(_request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    if isinstance(refused.__cause__, StreamHubError):
        return error_page(refused.__cause__)
    return plain_page(refused.status_code, "The console has no such page.")


async def _unexpected(_request: Request, error: Exception) -> Response:
    logger.error("internal_error", exc_info=error)
    return plain_page(500, "The log of the API says more.")
