"""Errors at the HTTP edge: the one place that knows status codes."""

from __future__ import annotations

import math
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from commands.ports import OutcomePendingError
from events.errors import ErrorKind, FieldError, Invalid, StreamHubError
from schemas.http.envelope import CommandMeta, Envelope, ErrorBody, ErrorDetail, Failure, Meta
from schemas.http.paths import API

log = structlog.get_logger(__name__)

STATUS: dict[ErrorKind, int] = {
    ErrorKind.INVALID: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.NOT_PERMITTED: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNPROCESSABLE: 422,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.INTERNAL: 500,
}
_DEFAULT_RETRY_S = {ErrorKind.UNAVAILABLE: 2.0, ErrorKind.RATE_LIMITED: 60.0}
_PLAIN_CODES = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
#: Parts of a validation error's place that say where, not which field.
_PLACES = {"body", "query", "path", "header"}


def failure_response(error: StreamHubError) -> Response:
    """Return the answer for an error of ours; what is internal stays inside."""
    status = STATUS[error.kind]
    internal = error.kind is ErrorKind.INTERNAL
    body = ErrorBody(
        code="INTERNAL_ERROR" if internal else error.code,
        message="Internal server error" if internal else error.message,
        details=[ErrorDetail(field=d.field, message=d.message) for d in error.details],
    )
    headers = retry_after(error)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _json(Failure(error=body), status, headers)


def retry_after(error: StreamHubError) -> dict[str, str]:
    """Return the header that says when to try again, where that helps."""
    retry_after_s = error.retry_after_s or _DEFAULT_RETRY_S.get(error.kind)
    return {} if retry_after_s is None else {"Retry-After": str(math.ceil(retry_after_s))}


def _json(body: Failure | Envelope[Any], status: int, headers: dict[str, str]) -> Response:
    return Response(
        body.model_dump_json(by_alias=True), status, headers, media_type="application/json"
    )


async def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StreamHubError)
    if error.kind is ErrorKind.INTERNAL:
        log.error("internal_error", exc_info=error)
    elif error.kind is ErrorKind.UNAVAILABLE:
        log.warning("unavailable", code=error.code, reason=error.message)
    return failure_response(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = [FieldError(_field(e), _message(e)) for e in error.errors()]
    return failure_response(Invalid("Invalid input", details=details))


def _field(error: dict[str, Any]) -> str:
    place = [str(part) for part in error["loc"]]
    if error["type"] == "json_invalid":
        return "body"
    names = place[1:] if place and place[0] in _PLACES else place
    return ".".join(to_camel(name) for name in names) or "body"


def _message(error: dict[str, Any]) -> str:
    message = str(error["msg"])
    return message.removeprefix("Value error, ")


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, StreamHubError):
        # The framework wraps whatever goes wrong while it reads a body.
        return failure_response(error.__cause__)
    code = _PLAIN_CODES.get(error.status_code, "BAD_REQUEST")
    body = Failure(error=ErrorBody(code=code, message=str(error.detail)))
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    return _json(body, error.status_code, headers)


def _methods(request: Request) -> set[str]:
    """Return what a path can be asked with; the framework tells those of one route only."""
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


async def _unexpected(_request: Request, error: Exception) -> Response:
    log.error("internal_error", exc_info=error)
    return failure_response(StreamHubError("Internal server error"))


async def _pending(_request: Request, error: Exception) -> Response:
    """The command is safe in the log; its outcome can be asked for."""
    assert isinstance(error, OutcomePendingError)
    where = f"{API}/commands/{error.command_id}"
    body = Envelope[dict[str, str]](
        data={"status": "pending", "statusUrl": where},
        meta=Meta(command=CommandMeta(id=error.command_id, stream_version=0)),
    )
    return _json(body, 202, {"Location": where, "Retry-After": "1"})


def install_error_handlers(app: FastAPI) -> None:
    """Give every failure the envelope."""
    app.add_exception_handler(StreamHubError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(OutcomePendingError, _pending)
    app.add_exception_handler(Exception, _unexpected)
