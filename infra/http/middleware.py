"""What happens to every request: ids, limits, headers, metrics, one line in the log."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from events import clock
from events.errors import TooLarge
from infra import metrics
from infra.http.errors import failure_response
from schemas.http.paths import API

log = structlog.get_logger(__name__)

Header = tuple[bytes, bytes]

_CORRELATION = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
_TRACEPARENT = re.compile(rb"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
_UPLOAD_CONFIRMED = ("POST", f"{API}/videos", "201")
#: More than there are routes, methods and statuses together.
_MEASURES_KEPT = 4_096
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
)
_VARIES_BY_ORIGIN = (b"vary", b"Origin")


class RequestMiddleware:
    """Outermost of all: nothing leaves without ids, headers and a measurement.

    Headers are read once and written once, as the bytes that they are: Starlette's mappings go
    through all of them for each one. Further inside, who has headers for the answer leaves them in
    ``headers_to_add``.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500
        headers = dict(reversed(scope["headers"]))
        traceparent, correlation_id, trace_id = _ids(headers)
        added = [(b"x-correlation-id", correlation_id.encode())]
        scope.setdefault("state", {}).update(
            correlation_id=correlation_id, traceparent=traceparent, headers_to_add=added
        )
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id, trace_id=trace_id)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _completed(message["headers"], added)
            await send(message)

        try:
            await self._guarded(scope, headers, receive, send_with_headers)
        finally:
            _observe(scope, status, started)
            structlog.contextvars.clear_contextvars()

    async def _guarded(
        self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        limit = self._max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            error = TooLarge(f"A body may have {limit} bytes at most")
            await failure_response(error)(scope, receive, send)
            return
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise TooLarge(f"A body may have {limit} bytes at most")
            return message

        await self._app(scope, limited_receive, send)


class OriginMiddleware(CORSMiddleware):
    """CORS as Starlette has it; most requests name no origin and learn that answers vary by it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and all(name != b"origin" for name, _ in scope["headers"]):
            add_headers(scope, _VARIES_BY_ORIGIN)
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def add_headers(scope: Scope, *headers: Header) -> None:
    """Have headers, their names in lower case, added to the answer of a request."""
    scope["state"]["headers_to_add"].extend(headers)


def _completed(headers: list[Header], added: list[Header]) -> list[Header]:
    """Return all headers of an answer; it may have security headers of its own."""
    own = {name for name, _ in headers}
    return [*headers, *added, *(header for header in _SECURITY_HEADERS if header[0] not in own)]


def _observe(scope: Scope, status: int, started: float) -> None:
    elapsed_ms = (time.perf_counter() - started) * 1000
    route = getattr(scope.get("route"), "path", "unmatched")
    labels = (scope["method"], route, str(status))
    duration, requests = _measures(*labels)
    duration.observe(elapsed_ms)
    requests.inc()
    if labels == _UPLOAD_CONFIRMED:
        metrics.VIDEO_UPLOADS.inc()
    log.info(
        "request",
        method=scope["method"],
        route=route,
        status_code=status,
        duration_ms=round(elapsed_ms, 2),
    )


@lru_cache(_MEASURES_KEPT)
def _measures(method: str, route: str, status: str) -> tuple[Histogram, Counter]:
    """Return the metrics with these labels; to look them up takes longer than to count."""
    labels = (method, route, status)
    return metrics.HTTP_DURATION.labels(*labels), metrics.HTTP_REQUESTS.labels(*labels)


def _ids(headers: Mapping[bytes, bytes]) -> tuple[str | None, str, str]:
    """Return trace parent, correlation id, trace id: the caller's own where they are well formed.

    The trace parent goes into the log with what is decided, so it must be one.
    """
    trace = _TRACEPARENT.match(headers.get(b"traceparent", b""))
    traceparent = trace.group().decode() if trace else None
    trace_id = trace.group(1).decode() if trace else clock.new_id().replace("-", "")
    correlation_id = headers.get(b"x-correlation-id", b"")
    if _CORRELATION.match(correlation_id):
        return traceparent, correlation_id.decode(), trace_id
    return traceparent, trace_id, trace_id
