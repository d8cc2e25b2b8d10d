"""Failures that come from the framework have the envelope, and say what helps."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, Response

from infra.http.errors import install_error_handlers


def application() -> FastAPI:
    async def answer() -> Response:
        return Response()

    app = FastAPI()
    install_error_handlers(app)
    for method, path in (
        ("GET", "/films/mine"),
        ("GET", "/films/{film_id}"),
        ("PUT", "/films/{film_id}"),
        ("DELETE", "/films/{film_id}"),
        ("POST", "/films"),
    ):
        app.add_api_route(path, answer, methods=[method])
    return app


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/films/7", "DELETE, GET, PUT"), ("GET", "/films", "POST")],
)
async def test_a_method_that_a_path_does_not_take_is_answered_with_those_that_it_does(
    method: str, path: str, allowed: str
) -> None:
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
