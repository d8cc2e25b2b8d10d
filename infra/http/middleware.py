"""What happens to every request: ids, limits, headers, metrics, one line in the log."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from events import clock
from events.errors import TooLarge
from infra import metrics
from infra.http.errors import failure_response
from schemas.http.paths import API

log = structlog.get_logger(__name__)

_CORRELATION = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
_UPLOAD_CONFIRMED = ("POST", f"{API}/videos", "201")
_SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}


class RequestMiddleware:
    """Outermost of all: nothing leaves without ids, headers and a measurement."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        started = time.perf_counter()
        status = 500
        correlation_id, trace_id = _ids(headers)
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        structlog.contextvars.bind_contextvars(correlation_id=correlation_id, trace_id=trace_id)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer["X-Correlation-Id"] = correlation_id
                for name, value in _SECURITY_HEADERS.items():
                    answer.setdefault(name, value)
            await send(message)

        try:
            await self._guarded(scope, headers, receive, send_with_headers)
        finally:
            self._observe(scope, status, started)
            structlog.contextvars.clear_contextvars()

    async def _guarded(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        limit = self._max_body_bytes
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
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

    @staticmethod
    def _observe(scope: Scope, status: int, started: float) -> None:
        elapsed_ms = (time.perf_counter() - started) * 1000
        route = getattr(scope.get("route"), "path", "unmatched")
        labels = (scope["method"], route, str(status))
        metrics.HTTP_DURATION.labels(*labels).observe(elapsed_ms)
        metrics.HTTP_REQUESTS.labels(*labels).inc()
        if labels == _UPLOAD_CONFIRMED:
            metrics.VIDEO_UPLOADS.inc()
        log.info(
            "request",
            method=scope["method"],
            route=route,
            status_code=status,
            duration_ms=round(elapsed_ms, 2),
        )


def _ids(headers: Headers) -> tuple[str, str]:
    """Return correlation id and trace id: the caller's own where they are well formed."""
    trace = _TRACEPARENT.match(headers.get("traceparent", ""))
    trace_id = trace.group(1) if trace else clock.new_id().replace("-", "")
    correlation_id = headers.get("x-correlation-id", "")
    return (correlation_id if _CORRELATION.match(correlation_id) else trace_id), trace_id
