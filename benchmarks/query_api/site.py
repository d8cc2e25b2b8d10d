"""A small site as the log tells it, the same one for the same seed: people, films, talk, views.

Its times are of the last hours, so that trends have something to show.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import MappingProxyType

from confluent_kafka import Producer

from events.base import Event, Metadata
from events.codec import encode_body, event_headers
from events.comments import CommentPosted
from events.engagement import VideoLiked, VideoShared, VideoViewed
from events.follows import UserFollowed
from events.privacy import KeyRing
from events.users import UserRegistered
from events.videos import Rendition, VideoCreated, VideoReady, Visibility
from infra.kafka.command_log import BATCH_RECORDS

SEED = 7
PEOPLE, VIDEOS, COMMENTS, LIKES, SHARES = 200, 500, 2_000, 3_000, 500
_SPAN = timedelta(hours=6)
_QUALITIES = MappingProxyType({"240p": 240, "360p": 360, "720p": 720})
WORDS = (
    *("garden", "river", "winter", "bread", "bicycle", "night", "market", "mountain", "song"),
    *("letter", "train", "harbour", "summer", "engine", "story", "dance", "lemon", "island"),
)
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Fact:
    """An event with its key and time."""

    key: str
    event: Event
    time: datetime


class Site:
    """Who is there, what they made, and what became of it; ``views`` is how many views it had.

    The first person owns every tenth film, and the first film has most of everything.
    """

    def __init__(self, views: int, seed: int = SEED) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._views = views
        self._now = datetime.now(UTC)
        self.people = [self._id() for _ in range(PEOPLE)]
        self.videos = [self._id() for _ in range(VIDEOS)]
        self._owners = {
            video: self.people[0] if number % 10 == 0 else self._random.choice(self.people)
            for number, video in enumerate(self.videos)
        }
        self._weights = [1 / rank for rank in range(1, VIDEOS + 1)]

    def __iter__(self) -> Iterator[Fact]:
        facts = [*self._accounts(), *self._films(), *self._talk(), *self._watching()]
        step = _SPAN / len(facts)
        for number, (key, event) in enumerate(facts):
            yield Fact(key, event, self._now - _SPAN + number * step)

    def _accounts(self) -> Iterator[tuple[str, Event]]:
        for number, person in enumerate(self.people):
            yield (
                person,
                UserRegistered(
                    user_id=person,
                    username=f"person{self._seed}_{number}",
                    email=f"person{self._seed}.{number}@example.org",
                    password_hash="$2b$04$" + "x" * 53,
                ),
            )
        for person in self.people[1:]:
            yield person, UserFollowed(follower_id=person, creator_id=self.people[0])

    def _films(self) -> Iterator[tuple[str, Event]]:
        for video, owner in self._owners.items():
            yield (
                video,
                VideoCreated(
                    video_id=video,
                    creator_id=owner,
                    title=self._text(5),
                    description=self._text(40),
                    tags=tuple(self._random.sample(WORDS, 3)),
                    category="general",
                    visibility=Visibility.PUBLIC,
                    source_key=f"uploads/{video}/source",
                ),
            )
            yield video, self._ready(video, owner)

    def _ready(self, video: str, owner: str) -> VideoReady:
        return VideoReady(
            video_id=video,
            creator_id=owner,
            duration_seconds=round(self._random.uniform(30, 3_000), 1),
            width=1280,
            height=720,
            codec="h264",
            bitrate=3_000_000,
            format="mp4",
            file_size=60_000_000,
            master_key=f"videos/{video}/master.m3u8",
            thumbnail_key=f"videos/{video}/thumbnail.jpg",
            renditions=tuple(
                Rendition(
                    quality=quality,
                    width=height * 16 // 9,
                    height=height,
                    bitrate=height * 4_000,
                    file_size=height * 80_000,
                    playlist_key=f"videos/{video}/{quality}.m3u8",
                )
                for quality, height in _QUALITIES.items()
            ),
        )

    def _talk(self) -> Iterator[tuple[str, Event]]:
        for video in self._some(COMMENTS):
            yield (
                video,
                CommentPosted(
                    comment_id=self._id(),
                    video_id=video,
                    author_id=self._random.choice(self.people),
                    parent_comment_id=None,
                    text=self._text(12),
                ),
            )
        pairs = {(video, self._random.choice(self.people)) for video in self._some(LIKES)}
        for video, person in sorted(pairs):
            owner = self._owners[video]
            yield video, VideoLiked(video_id=video, creator_id=owner, user_id=person)

    def _watching(self) -> Iterator[tuple[str, Event]]:
        for video in self._some(SHARES):
            owner = self._owners[video]
            yield (
                video,
                VideoShared(video_id=video, creator_id=owner, user_id=None, channel="link"),
            )
        for video in self._some(self._views):
            yield (
                video,
                VideoViewed(
                    video_id=video,
                    creator_id=self._owners[video],
                    user_id=self._random.choice(self.people),
                    session_id=self._id(),
                    watch_duration_seconds=round(self._random.uniform(1, 600), 1),
                    device="web",
                    country="DE",
                    referrer="/search",
                ),
            )

    def _some(self, count: int) -> list[str]:
        return self._random.choices(self.videos, self._weights, k=count)

    def _text(self, words: int) -> str:
        return " ".join(self._random.choices(WORDS, k=words)).capitalize()

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def append(bootstrap: str, facts: Iterable[Fact], keys: KeyRing) -> int:
    """Write facts as the command processor does, compressed and many a transaction; count them."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": "benchmark-site",
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
        }
    )
    producer.init_transactions(_TIMEOUT_S)
    waiting, versions, written = iter(facts), Counter[str](), 0
    while batch := list(islice(waiting, BATCH_RECORDS)):
        producer.begin_transaction()
        for fact in batch:
            stream = f"{fact.event.domain}-{fact.key}"
            versions[stream] += 1
            headers = event_headers(fact.event, _metadata(fact, stream, versions[stream]))
            body = encode_body(fact.event, keys)
            topic = f"events.{fact.event.domain}"
            producer.produce(topic, body, fact.key, headers=list(headers))
        producer.flush(_TIMEOUT_S)
        producer.commit_transaction(_TIMEOUT_S)
        written += len(batch)
    return written


def _metadata(fact: Fact, stream: str, version: int) -> Metadata:
    command_id = str(uuid.uuid4())
    return Metadata(
        event_id=str(uuid.uuid4()),
        stored_name=fact.event.stored_name(),
        stream=stream,
        stream_version=version,
        time=fact.time,
        command_id=command_id,
        correlation_id=command_id,
        causation_id=command_id,
    )
