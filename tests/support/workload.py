"""Clients that do a bit of everything at once and try again until they are answered.

Each client is one person who does one thing after the other, so what the log must hold of them is
known exactly: whatever was acknowledged, once, and nothing else.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.api import Answer, Api, Person, signed_up
from tests.support.log import Log
from tests.support.videos import Backstage
from tests.support.waiting import eventually
from tests.support.world import World

_RETRY_S = 0.1
_ANSWERED_TIMEOUT_S = 120.0


@dataclass(slots=True)
class Step:
    """One request, and what its acknowledgement means for the person's own view."""

    method: str
    path: str
    body: Any
    acknowledged: Callable[[Answer], None]


@dataclass(slots=True)
class Client:
    """One person with what was acknowledged to them."""

    person: Person
    videos: Sequence[str]
    people: Sequence[str]
    choice: random.Random
    commands: list[str] = field(default_factory=list)
    liked: dict[str, bool] = field(default_factory=dict)
    following: dict[str, bool] = field(default_factory=dict)
    #: Comment -> its facts as the person knows them.
    comments: dict[str, dict[str, bool]] = field(default_factory=dict)
    views: int = 0
    shares: int = 0

    def next_step(self) -> Step:
        """Return what the person does next."""
        kinds: list[Callable[[], Step]] = [
            self._like,
            self._like,
            self._follow,
            self._comment,
            self._view,
            self._share,
        ]
        if self._standing():
            kinds += [self._reply, self._edit, self._delete, self._like_comment]
        return self.choice.choice(kinds)()

    def _standing(self) -> list[str]:
        return [name for name, known in self.comments.items() if not known["is_deleted"]]

    def _like(self) -> Step:
        video = self.choice.choice(self.videos)
        wanted = self.choice.random() < 0.6

        def acknowledged(answer: Answer) -> None:
            assert answer.data["liked"] is wanted, answer
            self.liked[video] = wanted

        return Step("POST" if wanted else "DELETE", f"/videos/{video}/like", None, acknowledged)

    def _follow(self) -> Step:
        other = self.choice.choice([name for name in self.people if name != self.person.id])
        wanted = self.choice.random() < 0.6

        def acknowledged(answer: Answer) -> None:
            assert answer.data["following"] is wanted, answer
            self.following[other] = wanted

        return Step("POST" if wanted else "DELETE", f"/users/{other}/follow", None, acknowledged)

    def _comment(self) -> Step:
        video = self.choice.choice(self.videos)
        body = {"videoId": video, "text": f"a remark, number {self.choice.random():.6f}"}
        return Step("POST", "/comments", body, self._posted)

    def _reply(self) -> Step:
        parent = self.choice.choice(self._standing())
        return Step("POST", f"/comments/{parent}/reply", {"text": "and another"}, self._posted)

    def _posted(self, answer: Answer) -> None:
        name = answer.data["id"]
        assert name not in self.comments, f"one id for two comments: {answer}"
        self.comments[name] = {"is_deleted": False, "is_edited": False, "liked": False}

    def _edit(self) -> Step:
        name = self.choice.choice(self._standing())
        return Step(
            "PUT", f"/comments/{name}", {"text": "better words"}, self._sets(name, "is_edited")
        )

    def _delete(self) -> Step:
        name = self.choice.choice(self._standing())
        return Step("DELETE", f"/comments/{name}", None, self._sets(name, "is_deleted"))

    def _like_comment(self) -> Step:
        name = self.choice.choice(self._standing())
        return Step("POST", f"/comments/{name}/like", None, self._sets(name, "liked"))

    def _sets(self, name: str, fact: str) -> Callable[[Answer], None]:
        def acknowledged(_answer: Answer) -> None:
            self.comments[name][fact] = True

        return acknowledged

    def _view(self) -> Step:
        video = self.choice.choice(self.videos)
        session = f"{self.person.id}/{self.choice.getrandbits(48):x}"
        seconds = self.choice.randrange(60)

        def acknowledged(_answer: Answer) -> None:
            self.views += 1

        body = {"sessionId": session, "watchDuration": seconds}
        return Step("POST", f"/videos/{video}/view", body, acknowledged)

    def _share(self) -> Step:
        def acknowledged(_answer: Answer) -> None:
            self.shares += 1

        return Step("POST", f"/videos/{self.choice.choice(self.videos)}/share", None, acknowledged)


class Workload:
    """Several clients at work; ``steps`` each."""

    def __init__(self, clients: Sequence[Client], steps: int) -> None:
        self.clients = clients
        self.total = steps * len(clients)
        self.answered = 0
        self.retries: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self._steps = steps

    async def run(self) -> None:
        """Do everything; returns when the last request was answered."""
        await asyncio.gather(*(self._live(client) for client in self.clients))

    async def reached(self, share: float) -> None:
        """Wait until a share of the requests was answered."""

        async def look() -> bool:
            return self.answered >= share * self.total

        await eventually(f"{share:.0%} of the work", look, 180.0, poll_s=0.01)

    async def _live(self, client: Client) -> None:
        for _ in range(self._steps):
            step = client.next_step()
            key = f"{client.choice.getrandbits(64):x}"
            answer = await self._deliver(client, step, key)
            self.answered += 1
            if answer.status in {200, 201}:
                step.acknowledged(answer)
                client.commands.append(answer.command_id)
            else:
                self.unexpected.append(f"{step.method} {step.path}: {answer.status} {answer.body}")

    async def _deliver(self, client: Client, step: Step, key: str) -> Answer:
        """Send the request until it is answered for good, always with the same key."""

        async def attempt() -> Answer | None:
            try:
                answer = await client.person.call(
                    step.method, step.path, step.body, key=key, seen=""
                )
            except httpx.TransportError as error:
                self.retries[type(error).__name__] += 1
                return None
            if not answer.is_final:
                self.retries[str(answer.status)] += 1
                return None
            return answer

        what = f"an answer to {step.method} {step.path}"
        return await eventually(what, attempt, _ANSWERED_TIMEOUT_S, _RETRY_S)

    def check(self, log: Log, world: World) -> None:
        """Fail unless the log holds what was acknowledged, once, and nothing else of the people."""
        assert self.unexpected == []
        assert self.answered == self.total
        decided = {outcome.body["command_id"] for outcome in log.outcomes}
        for client in self.clients:
            assert decided.issuperset(client.commands), "an acknowledged command is lost"
            assert _expected(client) == _found(client, log, world)


def _expected(client: Client) -> Mapping[str, Any]:
    return {
        "liked": {video for video, liked in client.liked.items() if liked},
        "following": {other for other, follows in client.following.items() if follows},
        "comments": client.comments,
        "views": client.views,
        "shares": client.shares,
    }


def _found(client: Client, log: Log, world: World) -> Mapping[str, Any]:
    me = client.person.id
    counted = Counter(entry.type for entry in log.events if entry.body.get("user_id") == me)
    return {
        "liked": {video for user, video in world.likes if user == me},
        "following": {creator for follower, creator in world.follows if follower == me},
        "comments": {
            name: {
                "is_deleted": known["is_deleted"],
                "is_edited": known["is_edited"],
                "liked": (me, name) in world.comment_likes,
            }
            for name, known in world.comments.items()
            if known["user_id"] == me
        },
        "views": counted["video.viewed.v1"],
        "shares": counted["video.shared.v1"],
    }


async def prepare_workload(
    api: Api, backstage: Backstage, seed: int, clients: int = 8, steps: int = 40
) -> Workload:
    """Return clients with videos to be busy with; the seed decides who does what."""
    people = await signed_up(api, clients)
    videos = [await backstage.ready_video(person) for person in people[:3]]
    names = [person.id for person in people]
    return Workload(
        [
            Client(person, videos, names, random.Random(f"{seed}/{number}"))
            for number, person in enumerate(people)
        ],
        steps,
    )
