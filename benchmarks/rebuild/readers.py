"""People who share films and look at them again, and notice if they are shown less than before.

A film is shared by one person, one time after the other, so that the token of the last share covers
all that were before it, and how many there are is known: whoever carries the token must never be
shown fewer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import orjson

from benchmarks.commands.system import System
from benchmarks.http_client import Answer, Connections, request
from schemas.http import consistency

#: Requests of these kinds in turn; the first is what staleness is looked for in.
QUERIES = ("watch page", "watch page", "comments", "followers", "search", "trending")


@dataclass(slots=True)
class Pair:
    """A film and who shares it: the token of the last share, and how many there were."""

    who: Mapping[str, str]
    video_id: str
    token: str = ""
    known: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def headers(self) -> dict[str, str]:
        carried = {consistency.HEADER: self.token} if self.token else {}
        return {**self.who, **carried}


@dataclass(slots=True)
class Complaints:
    """What went wrong: answers by status, and pages that showed less than was known."""

    commands: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    stale: list[tuple[int, int]] = field(default_factory=list)


class Public:
    """Sends commands and queries for all pairs, each number for the next of them."""

    def __init__(self, system: System, api: Connections, owner: str) -> None:
        self._api = api
        self._owner = owner
        self._pairs = [
            Pair({"Authorization": f"Bearer {token}"}, video)
            for token, video in zip(cycle(system.tokens), system.videos, strict=False)
        ]
        self.complaints = Complaints()

    async def share(self, number: int) -> bool:
        """Share a film once; the pair waits for its answer before it shares again."""
        pair = self._pairs[number % len(self._pairs)]
        message = request("POST", f"/api/v1/videos/{pair.video_id}/share", pair.who)
        async with pair.turn:
            answer = await self._api.send(message)
            if answer.status != 201:
                self.complaints.commands.append(answer.status)
                return False
            pair.token = answer.header(consistency.HEADER)
            pair.known += 1
        return True

    async def look(self, number: int) -> bool:
        """Ask for something as somebody who has seen their own last share."""
        pair = self._pairs[number % len(self._pairs)]
        kind = QUERIES[number % len(QUERIES)]
        known = pair.known
        answer = await self._api.send(request("GET", self._path(kind, pair), pair.headers()))
        if answer.status != 200:
            self.complaints.reads.append(answer.status)
            return False
        return kind != QUERIES[0] or self._is_fresh(known, answer)

    def _is_fresh(self, known: int, answer: Answer) -> bool:
        shown = orjson.loads(answer.body)["data"]["shares"]
        if shown < known:
            self.complaints.stale.append((known, shown))
            return False
        return True

    def _path(self, kind: str, pair: Pair) -> str:
        film = pair.video_id
        paths = {
            "watch page": f"/videos/{film}",
            "comments": f"/videos/{film}/comments",
            "followers": f"/users/{self._owner}/followers",
            "search": "/search?q=film",
            "trending": "/videos/trending",
        }
        return f"/api/v1{paths[kind]}"


def statuses(codes: Sequence[int]) -> dict[str, int]:
    """Count answers by their status."""
    return {str(code): codes.count(code) for code in sorted(set(codes))}
