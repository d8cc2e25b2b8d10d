"""Histories in which every event makes a row: one for each store."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.query_api.site import WORDS, Fact
from events.base import Event
from events.engagement import VideoViewed
from events.follows import UserFollowed
from events.sessions import SessionStarted
from events.users import Role
from events.videos import VideoCreated, Visibility

SEED = 11
PEOPLE, VIDEOS = 200, 1_000
_SPAN, _SESSION = timedelta(hours=6), timedelta(days=1)


class Rows:
    """Makes events for people of a site; each call of a method makes others."""

    def __init__(self, seed: int = SEED) -> None:
        self._random = random.Random(seed)
        self._now = datetime.now(UTC)
        self.people = [self._id() for _ in range(PEOPLE)]
        self._videos = {self._id(): self._person() for _ in range(VIDEOS)}

    def follows(self, count: int) -> Iterator[Fact]:
        """Yield who follows whom, each pair once."""
        for number in range(count):
            follower = self._id()
            event = UserFollowed(follower_id=follower, creator_id=self._person())
            yield self._fact(follower, event, number / count)

    def sessions(self, count: int) -> Iterator[Fact]:
        """Yield sessions that begin now and stay open for a day."""
        for number in range(count):
            session = self._id()
            event = SessionStarted(
                session_id=session,
                user_id=self._person(),
                role=Role.VIEWER,
                device="web",
                ip_address="192.0.2.1",
                expires_at=self._now + _SESSION,
            )
            yield self._fact(session, event, number / count)

    def views(self, count: int) -> Iterator[Fact]:
        """Yield views of videos."""
        videos = list(self._videos.items())
        for number in range(count):
            video, owner = self._random.choice(videos)
            event = VideoViewed(
                video_id=video,
                creator_id=owner,
                user_id=self._id(),
                session_id=self._id(),
                watch_duration_seconds=round(self._random.uniform(1, 600), 1),
                device="web",
                country="DE",
                referrer="/search",
            )
            yield self._fact(video, event, number / count)

    def films(self, count: int) -> Iterator[Fact]:
        """Yield films with a title and a description."""
        for number in range(count):
            video, owner = self._id(), self._person()
            event = VideoCreated(
                video_id=video,
                creator_id=owner,
                title=self._text(5),
                description=self._text(40),
                tags=("garden", "river"),
                category="general",
                visibility=Visibility.PUBLIC,
                source_key=f"uploads/{video}/source",
            )
            yield self._fact(video, event, number / count)

    def _fact(self, key: str, event: Event, share: float) -> Fact:
        return Fact(key, event, self._now - _SPAN + share * _SPAN)

    def _text(self, words: int) -> str:
        return " ".join(self._random.choices(WORDS, k=words)).capitalize()

    def _person(self) -> str:
        return self._random.choice(self.people)

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
