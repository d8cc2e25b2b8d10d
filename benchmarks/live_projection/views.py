"""The events of the benchmark: views of videos, the same ones for the same seed.

A few videos have most of the views (the n-th is watched 1/n as often as the first), as on any
video site. The records are what StreamHub's own code writes: a JSON body of about 300 bytes and
CloudEvents headers.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.base import Metadata
from events.codec import Headers, encode_body, event_headers
from events.engagement import VideoViewed

TOPIC = "events.engagement"
SEED = 5
VIDEOS = 1_000
_BEGINNING = datetime(2025, 1, 1, tzinfo=UTC)
_DEVICES = ("web", "ios", "android", "television")
_COUNTRIES = ("BR", "DE", "IN", "JP", "NG", "US")
_PAGES = ("search", "home", "channel", "recommendations")


@dataclass(frozen=True, slots=True)
class View:
    """A record to be written."""

    key: str
    body: bytes
    headers: Headers


class NoKeys:
    """Implements ``events.privacy.KeyRing`` for events that hold no personal data."""

    async def load(self, person_ids: Iterable[str]) -> None:
        """Nothing is there to load."""

    async def create(self, person_id: str) -> None:
        raise KeyError(person_id)

    def cipher(self, person_id: str) -> AESGCM | None:
        raise KeyError(person_id)


class Views:
    """The first ``count`` views of a seed, and what counting them must come to."""

    def __init__(self, count: int, seed: int = SEED) -> None:
        self._random = random.Random(seed)
        self._creators = {self._id(): self._id() for _ in range(VIDEOS)}
        self._videos = self._random.choices(
            list(self._creators), [1 / rank for rank in range(1, VIDEOS + 1)], k=count
        )

    def counts(self) -> dict[str, int]:
        """Return video id -> views."""
        return dict(Counter(self._videos))

    def __iter__(self) -> Iterator[View]:
        versions: Counter[str] = Counter()
        for number, video_id in enumerate(self._videos):
            versions[video_id] += 1
            yield self._view(number, video_id, versions[video_id])

    def _view(self, number: int, video_id: str, version: int) -> View:
        event = VideoViewed(
            video_id=video_id,
            creator_id=self._creators[video_id],
            user_id=self._id(),
            session_id=self._id(),
            watch_duration_seconds=round(self._random.uniform(1, 600), 1),
            device=self._random.choice(_DEVICES),
            country=self._random.choice(_COUNTRIES),
            referrer=f"/{self._random.choice(_PAGES)}",
        )
        command_id = self._id()
        metadata = Metadata(
            event_id=self._id(),
            stored_name=event.stored_name(),
            stream=f"engagement-{video_id}",
            stream_version=version,
            time=_BEGINNING + timedelta(milliseconds=10 * number),
            command_id=command_id,
            correlation_id=command_id,
            causation_id=command_id,
            actor_id=event.user_id,
        )
        return View(video_id, encode_body(event, NoKeys()), event_headers(event, metadata))

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
