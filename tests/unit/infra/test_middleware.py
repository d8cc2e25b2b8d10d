"""What every answer has: ids, security headers, CORS, its limit; and bodies that are too large."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.http.middleware import OriginMiddleware, RequestMiddleware
from infra.http.rate_limits import Limit, RateLimitMiddleware, Use
from tests.unit.events.known import VIDEO

TRACE = "0af7651916cd43dd8448eb211c80319c"
SITE = "https://site.example"


class Page:
    """Answers with the length of the body and the headers that it was told."""

    def __init__(self, **headers: str) -> None:
        self._headers = headers
        self.state = self
        self.limiter = self
        self.places: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        body = await Request(scope, receive).body()
        answer = PlainTextResponse(str(len(body)), headers=self._headers)
        await answer(scope, receive, send)

    async def count(self, limit: Limit, _client: str, place: str) -> Use:
        self.places.add(place)
        return Use(used=limit.requests - 1, reset_s=7, blocked=False)


def application(page: ASGIApp) -> ASGIApp:
    origins = OriginMiddleware(page, allow_origins=[SITE], allow_credentials=True)
    return RequestMiddleware(origins, max_body_bytes=10)


async def ask(app: ASGIApp, method: str = "GET", path: str = "/", **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return await client.request(method, path, **options)


@pytest.mark.parametrize(
    ("headers", "correlation_id"),
    [
        ({"X-Correlation-Id": "mine-1"}, "mine-1"),
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
        ({"X-Correlation-Id": "mine", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, "mine"),
        ({"X-Correlation-Id": "not mine", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
    ],
)
async def test_an_answer_has_the_correlation_id(
    headers: dict[str, str], correlation_id: str
) -> None:
    answer = await ask(application(Page()), headers=headers)
    assert answer.headers.get_list("X-Correlation-Id") == [correlation_id]


@pytest.mark.parametrize("sent", ["", "a b", "a\x7f", "a" * 65])
async def test_a_correlation_id_is_made_where_none_came(sent: str) -> None:
    answer = await ask(application(Page()), headers={"X-Correlation-Id": sent})
    assert len(answer.headers["X-Correlation-Id"]) == 32


async def test_a_page_may_have_security_headers_of_its_own() -> None:
    page = Page(**{"Referrer-Policy": "same-origin"})
    headers = (await ask(application(page))).headers
    assert headers.get_list("Referrer-Policy") == ["same-origin"]
    assert headers.get_list("X-Frame-Options") == ["DENY"]
    assert headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize(
    ("origin", "allowed"), [(None, None), (SITE, SITE), ("https://other.example", None)]
)
async def test_an_answer_varies_by_origin(origin: str | None, allowed: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answer = await ask(application(Page()), headers=headers)
    assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    assert answer.headers.get_list("Vary") == ["Origin"]


async def test_a_browser_is_told_what_it_may_ask() -> None:
    headers = {"Origin": SITE, "Access-Control-Request-Method": "GET"}
    answer = await ask(application(Page()), "OPTIONS", headers=headers)
    assert answer.headers["Access-Control-Allow-Origin"] == SITE
    assert answer.headers["X-Frame-Options"] == "DENY"


async def test_a_body_may_not_be_declared_too_large() -> None:
    assert (await ask(application(Page()), "POST", content=b"0123456789")).text == "10"
    answer = await ask(application(Page()), "POST", content=b"0123456789a")
    assert answer.status_code == 413
    assert answer.headers["X-Frame-Options"] == "DENY"


async def test_an_answer_tells_how_much_of_a_limit_is_left() -> None:
    app = RequestMiddleware(RateLimitMiddleware(Page(), ["10.0.0.0/8"]), max_body_bytes=10)
    transport = httpx.ASGITransport(_of_application(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        limited, unlimited = await client.get("/api/v1/videos"), await client.get("/docs")
    assert limited.headers["RateLimit-Policy"] == '"read";q=1000;w=60'
    assert limited.headers["RateLimit"] == '"read";r=1;t=7'
    assert "RateLimit" not in unlimited.headers


def _of_application(app: ASGIApp) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "app": Page()}, receive, send)

    return call


async def test_a_place_is_counted_once_however_its_id_is_written() -> None:
    page = Page()
    limited = RateLimitMiddleware(page, exempt=())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await limited({**scope, "app": page}, receive, send)

    simple = VIDEO.replace("-", "")
    for written in (VIDEO, VIDEO.upper(), simple, f"urn:uuid:{VIDEO}", f"{{{VIDEO}}}"):
        guarded = RequestMiddleware(app, max_body_bytes=10)
        await ask(guarded, "POST", f"/api/v1/videos/{written}/like")
    assert len(page.places) == 1


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", f"00-{TRACE}-b7ad6b7169203331-01"),
        ("z" * 1000, None),
        ("", None),
    ],
)
async def test_only_a_trace_parent_that_is_one_goes_further(sent: str, kept: str | None) -> None:
    seen: list[str | None] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["state"]["traceparent"])
        await PlainTextResponse("")(scope, receive, send)

    await ask(RequestMiddleware(page, max_body_bytes=10), headers={"traceparent": sent})
    assert seen == [kept]
