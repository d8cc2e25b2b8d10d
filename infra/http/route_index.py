"""Routes found by what a path looks like, instead of being tried one after another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

#: Segments at the beginning of a path that tell routes apart: ``/api/v1/videos``.
_HEAD_SEGMENTS = 3


class RouteIndex(BaseRoute):
    """Stands before the routes that it knows, and hands a request to the one that it is for.

    A router tries its routes in turn, and there are sixty. Whatever is not found here, such as a
    path with another method, goes on to them; and among those that look alike, their order holds.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._alike: dict[tuple[str, int, str], list[APIRoute]] = defaultdict(list)
        for route in routes:
            if isinstance(route, APIRoute) and _has_plain_head(route.path):
                for method in route.methods or ():
                    self._alike[_look_of(method, route.path)].append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http":
            for route in self._alike.get(_look_of(scope["method"], scope["path"]), ()):
                match, child_scope = route.matches(scope)
                if match is Match.FULL:
                    return match, child_scope
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: object) -> None:  # type: ignore[override]
        raise NoMatchFound(name, path_params)


def _look_of(method: str, path: str) -> tuple[str, int, str]:
    """Return method, number of segments, and the segments at the beginning."""
    head = "/".join(path.split("/", _HEAD_SEGMENTS + 1)[: _HEAD_SEGMENTS + 1])
    return method, path.count("/"), head


def _has_plain_head(path: str) -> bool:
    """Say whether a route's path begins without parameters, and none of them spans segments."""
    _, _, head = _look_of("", path)
    return "{" not in head and ":" not in path
