"""A history of some videos as it stands in the log, and what it comes to."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from events import clock
from events.base import Event, Recorded, TopicPartition
from events.codec import LogRecord
from events.engagement import VideoLiked, VideoUnliked, VideoViewed
from events.privacy import KeyRing
from events.videos import VideoCreated, VideoUpdated, Visibility
from projections.batches import Batch
from projections.declaration import Projection
from projections.ports import Move, Step
from tests.contract.stores import Facts
from tests.unit.events.known import ADA, BEN, log_record, metadata_of

DESCRIPTIONS = TopicPartition("events.videos", 0)
ENGAGEMENT = TopicPartition("events.engagement", 0)
ELSEWHERE = TopicPartition("events.engagement", 1)


def created(video: str, title: str) -> VideoCreated:
    return VideoCreated(
        video_id=video,
        creator_id=ADA,
        title=title,
        description="",
        tags=(),
        category="music",
        visibility=Visibility.PUBLIC,
        source_key="source",
    )


def viewed(video: str, session: str = "session") -> VideoViewed:
    return VideoViewed(
        video_id=video,
        creator_id=ADA,
        user_id=BEN,
        session_id=session,
        watch_duration_seconds=7.5,
        device="tv",
        country="CZ",
        referrer=None,
    )


def liked(video: str) -> VideoLiked:
    return VideoLiked(video_id=video, creator_id=ADA, user_id=BEN)


def unliked(video: str) -> VideoUnliked:
    return VideoUnliked(video_id=video, creator_id=ADA, user_id=BEN)


@dataclass(frozen=True)
class History:
    """Events of one partition; offsets have gaps as transactions leave them."""

    source: TopicPartition
    events: Sequence[tuple[int, Event]]

    @property
    def end(self) -> int:
        return self.events[-1][0] + 2

    def move(self, projection: Projection, before: int = 0, after: int | None = None) -> Move:
        """Return the move of a projection over the offsets from before up to after."""
        after = self.end if after is None else after
        changes = [
            change
            for offset, event in self.events
            if before <= offset < after and type(event) in projection.events
            for change in projection.evolve(self._recorded(offset, event))
        ]
        return Move(projection, before, after, changes)

    def step(self, projection: Projection, before: int = 0, after: int | None = None) -> Step:
        """Return the step of that projection alone."""
        return Step(self.source, [self.move(projection, before, after)])

    def batch(self, keys: KeyRing, begins: int, ends: int) -> Batch:
        """Return those offsets as they come from Kafka."""
        records = [r for r in self._records(keys) if begins <= r.offset < ends]
        return Batch(self.source, begins, ends, records)

    def _recorded(self, offset: int, event: Event) -> Recorded:
        return Recorded(event, metadata_of(event, offset + 1), self.source, offset, "key")

    def _records(self, keys: KeyRing) -> Iterator[LogRecord]:
        for offset, event in self.events:
            yield log_record(event, keys, offset=offset, source=self.source)


def engagement(videos: Sequence[str], count: int, seed: int = 1) -> History:
    """Return views, likes and likes taken back, in an order of chance."""
    chance = random.Random(seed)
    now_liked: set[str] = set()
    events: list[tuple[int, Event]] = []
    offset = 0
    for number in range(count):
        video = chance.choice(videos)
        if chance.random() < 0.7:
            event: Event = viewed(video, f"session {number}")
        elif video in now_liked:
            now_liked.discard(video)
            event = unliked(video)
        else:
            now_liked.add(video)
            event = liked(video)
        events.append((offset, event))
        offset += chance.choice((1, 1, 1, 2, 3))
    return History(ENGAGEMENT, events)


def descriptions(videos: Sequence[str], count: int, seed: int = 1) -> History:
    """Return videos that are created and renamed again and again."""
    chance = random.Random(seed)
    events: list[tuple[int, Event]] = []
    for number, video in enumerate(videos):
        events.append((2 * number, created(video, f"{video} 0")))
    for number in range(count):
        video = chance.choice(videos)
        renamed = VideoUpdated(video_id=video, creator_id=ADA, title=f"{video} {number + 1}")
        events.append((2 * (len(videos) + number), renamed))
    return History(DESCRIPTIONS, events)


def come_to(*histories: History) -> Facts:
    """Return what the histories come to when each event counts once."""
    facts: Facts = defaultdict(lambda: {"views": 0, "likes": 0, "title": None})
    for history in histories:
        for _, event in history.events:
            match event:
                case VideoViewed():
                    facts[event.video_id]["views"] += 1
                case VideoLiked():
                    facts[event.video_id]["likes"] += 1
                case VideoUnliked():
                    facts[event.video_id]["likes"] -= 1
                case VideoCreated() | VideoUpdated():
                    facts[event.video_id]["title"] = event.title
    return dict(facts)


def some_videos(count: int) -> list[str]:
    return [clock.new_id() for _ in range(count)]
