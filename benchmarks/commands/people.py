"""What people of a running StreamHub send, as requests that are ready to go over the wire."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from benchmarks.commands.system import System
from benchmarks.http_client import request

#: Returns the request of a number.
Requests = Callable[[int], bytes]


def likes(system: System) -> Requests:
    """Everybody likes every video, then takes it all back, and again: each is an event."""
    people, videos = len(system.tokens), len(system.videos)

    def like(number: int) -> bytes:
        method = "DELETE" if number // (people * videos) % 2 else "POST"
        path = f"/api/v1/videos/{system.videos[number // people % videos]}/like"
        return request(method, path, _who(system, number))

    return like


def comments(system: System) -> Requests:
    """Everybody comments on every video."""

    def comment(number: int) -> bytes:
        video_id = system.videos[number // len(system.tokens) % len(system.videos)]
        body = {"videoId": video_id, "text": f"What a film, said for the {number}th time"}
        return request("POST", "/api/v1/comments", _who(system, number), orjson.dumps(body))

    return comment


def descriptions(system: System) -> Requests:
    """The owner, who was the last to sign up, describes the videos anew."""

    def describe(number: int) -> bytes:
        video_id = system.videos[number % len(system.videos)]
        body = {"title": f"A film of number {number}", "tags": ["film", f"tag{number % 7}"]}
        return request("PUT", f"/api/v1/videos/{video_id}", _who(system, -1), orjson.dumps(body))

    return describe


def _who(system: System, number: int) -> dict[str, str]:
    token = system.tokens[number % len(system.tokens)]
    return {"Authorization": f"Bearer {token}"}
