"""The index finds the route that a router finds by trying all."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.routing import APIRoute
from starlette.routing import Match

from infra.http.app import create_app
from infra.http.route_index import RouteIndex
from infra.settings import Settings


def application(*, indexed: bool) -> FastAPI:
    router = APIRouter(prefix="/api/v1")
    for method, path in (
        ("GET", "/films/mine"),
        ("GET", "/films/{film_id}"),
        ("PUT", "/films/{film_id}"),
        ("GET", "/films/{film_id}/{part}"),
        ("GET", "/files/{path:path}"),
        ("GET", "/{anything}"),
    ):
        router.add_api_route(path, _answering(method, path), methods=[method])
    app = FastAPI()
    app.router.routes.extend([RouteIndex(router.routes)] * indexed + [*router.routes])
    return app


def _answering(method: str, path: str) -> Any:
    async def answer() -> Response:
        return Response(f"{method} {path}")

    return answer


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        *("/api/v1/films/mine", "/api/v1/films/7", "/api/v1/films/7/", "/api/v1/films/7/cover"),
        *("/api/v1/films/7/cover/large", "/api/v1/films", "/api/v1/films/", "/api/v1/files/a/b"),
        *("/api/v1/other", "/api/v1", "/api", "/", "//api/v1/films/7", "/api/v1/films//"),
    ],
)
async def test_a_request_finds_the_same_route(method: str, path: str) -> None:
    answers = []
    for indexed in (False, True):
        transport = httpx.ASGITransport(application(indexed=indexed))
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.request(method, f"http://api{path}")
        answers.append((answer.status_code, answer.headers.multi_items(), answer.content))
    assert answers[0] == answers[1]


def test_every_route_of_the_api_is_found() -> None:
    app = create_app(Settings())
    index = next(route for route in app.router.routes if isinstance(route, RouteIndex))
    routes = [route for route in app.router.routes if isinstance(route, APIRoute)]
    asked = [r for r in routes if r.path.startswith("/api/v1/")]
    assert asked
    for route in asked:
        method = min(route.methods or ())
        path = route.path.replace("{", "").replace("}", "")
        match, found = index.matches({"type": "http", "method": method, "path": path})
        assert (match, found["route"].path) == (Match.FULL, route.path)
