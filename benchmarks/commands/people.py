"""What people of a running StreamHub send, as requests that are ready to go over the wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from benchmarks.commands.system import System
from benchmarks.http_client import Connections, request

#: Returns the request of a number.
Requests = Callable[[int], bytes]


class Sender:
    """Sends requests, each number once in the whole run, so that each like is an event."""

    def __init__(self, requests: Requests, api: Connections) -> None:
        self._requests = requests
        self._api = api
        self._next = 0

    async def send(self, _number: int) -> bool:
        """Send the next request; say whether it was answered with 200."""
        number, self._next = self._next, self._next + 1
        return (await self._api.send(self._requests(number))).status == 200


def likes(tokens: Sequence[str], videos: Sequence[str]) -> Requests:
    """Everybody likes every video, then takes it all back, and again: each is an event."""

    def like(number: int) -> bytes:
        method = "DELETE" if number // (len(tokens) * len(videos)) % 2 else "POST"
        path = f"/api/v1/videos/{videos[number // len(tokens) % len(videos)]}/like"
        return request(method, path, _who(tokens, number))

    return like


def comments(system: System) -> Requests:
    """Everybody comments on every video."""

    def comment(number: int) -> bytes:
        video_id = system.videos[number // len(system.tokens) % len(system.videos)]
        body = {"videoId": video_id, "text": f"What a film, said for the {number}th time"}
        return request("POST", "/api/v1/comments", _who(system.tokens, number), orjson.dumps(body))

    return comment


def descriptions(system: System) -> Requests:
    """The owner, who was the last to sign up, describes the videos anew."""

    def describe(number: int) -> bytes:
        video_id = system.videos[number % len(system.videos)]
        body = {"title": f"A film of number {number}", "tags": ["film", f"tag{number % 7}"]}
        return request(
            "PUT", f"/api/v1/videos/{video_id}", _who(system.tokens, -1), orjson.dumps(body)
        )

    return describe


def _who(tokens: Sequence[str], number: int) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens[number % len(tokens)]}"}
