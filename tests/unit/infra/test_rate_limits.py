"""Which request falls under which limit."""

from __future__ import annotations

import pytest

from infra.http.rate_limits import (
    COMMENT,
    GENERAL,
    LOGIN,
    READ,
    REGISTER,
    ROUTES,
    UPLOAD,
    Limit,
    limit_of,
)


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", "/api/v1/auth/login", LOGIN),
        ("POST", "/api/v1/auth/login/", LOGIN),
        ("POST", "/api/v1/auth/register", REGISTER),
        ("POST", "/api/v1/videos", UPLOAD),
        ("POST", "/api/v1/comments", COMMENT),
        ("POST", "/api/v1/comments/7/reply", COMMENT),
        ("POST", "/api/v1/comments/7/reply/", COMMENT),
        ("POST", "/api/v1/comments/7/report", GENERAL),
        ("GET", "/api/v1/videos", READ),
        ("HEAD", "/api/v1/videos", READ),
        ("OPTIONS", "/api/v1/videos", READ),
        ("GET", "/api/v1/auth/login", READ),
        ("PUT", "/api/v1/videos/7", GENERAL),
        ("POST", "/api/v1/videos/7/like", GENERAL),
        ("DELETE", "/api/v1/comments/7", GENERAL),
        ("POST", "/api/v1/auth/refresh", GENERAL),
    ],
)
def test_a_request_falls_under_one_limit(method: str, path: str, limit: Limit) -> None:
    assert limit_of(method, path) == limit


@pytest.mark.parametrize("path", ["/health", "/metrics", "/docs", "/", "/api"])
def test_outside_the_api_there_is_no_limit(path: str) -> None:
    assert limit_of("GET", path) is None


@pytest.mark.parametrize(
    ("limit", "requests", "window_s", "block_s"),
    [
        (LOGIN, 5, 60, 300),
        (REGISTER, 3, 3_600, 0),
        (UPLOAD, 10, 86_400, 0),
        (COMMENT, 20, 60, 0),
        (READ, 1_000, 60, 0),
        (GENERAL, 100, 60, 60),
    ],
    ids=lambda value: value.name if isinstance(value, Limit) else None,
)
def test_the_figures_are_those_of_the_requirements(
    limit: Limit, requests: int, window_s: int, block_s: int
) -> None:
    assert (limit.requests, limit.window_s, limit.block_s) == (requests, window_s, block_s)


def test_each_limit_has_a_name_of_its_own() -> None:
    limits = [*{*ROUTES.values()}, READ, GENERAL]
    assert len({limit.name for limit in limits}) == len(limits)
