"""Logs of any length over any number of videos, in topics with any number of partitions.

To make a view takes longer than to append it, so some are made once and stand in the log again and
again, each time for the video that is watched. A rebuild goes by positions: that ids come again and
versions do not rise is nothing to it.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, cycle, islice
from threading import Lock

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from benchmarks.live_projection.views import SEED, TOPIC, View, Views
from infra.kafka.command_log import BATCH_RECORDS
from infra.kafka.topics import Installation, apply_topics
from schemas.catalogue import topics

_TIMEOUT_S = 60.0
#: Longer than to produce a transaction's views: what a partition gets of them is one batch, as it
#: is from the command processor.
_LINGER_MS = 1_000
_LOOK_S = 0.2
#: Some make their next transactions while Kafka is busy with another's.
_WRITERS = 3
#: Videos that are chosen at a time.
_CHOSEN = 100_000


class Log:
    """A log that grows: what it has so far is a part of what it has later."""

    def __init__(self, bootstrap: str, made: Sequence[View], videos: int) -> None:
        self._bootstrap = bootstrap
        self._made = cycle(made)
        self._watched = _watched(videos)
        self.events = 0

    def grow(self, events: int) -> None:
        """Append views until there are so many."""
        batches = _Batches(self._views(events - self.events))
        with ThreadPoolExecutor(_WRITERS) as pool:
            names = [f"benchmark-growth-{number}" for number in range(_WRITERS)]
            writers = [pool.submit(_append, self._bootstrap, name, batches) for name in names]
        for writer in writers:
            writer.result()
        self.events = events

    def _views(self, count: int) -> Iterator[View]:
        for _, view, video_id in zip(range(count), self._made, self._watched, strict=False):
            yield _of(video_id, view)


class _Batches:
    """Hands views out to writers, a transaction's at a time."""

    def __init__(self, views: Iterator[View]) -> None:
        self._views = views
        self._lock = Lock()

    def take(self) -> list[View]:
        """Return the next ones, none at the end."""
        with self._lock:
            return list(islice(self._views, BATCH_RECORDS))


def _append(bootstrap: str, name: str, batches: _Batches) -> None:
    """Append views as the command processor does: compressed, 500 of them a transaction."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": name,
            "linger.ms": _LINGER_MS,
            "retry.backoff.ms": 2,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
        }
    )
    producer.init_transactions(_TIMEOUT_S)
    while views := batches.take():
        producer.begin_transaction()
        for view in views:
            producer.produce(TOPIC, view.body, view.key, headers=list(view.headers))
        producer.flush(_TIMEOUT_S)
        producer.commit_transaction(_TIMEOUT_S)


def make_views(count: int) -> Sequence[View]:
    """Return the views that all logs are made of."""
    return list(Views(count))


def _watched(videos: int) -> Iterator[str]:
    """Yield who is watched: each video once, then the n-th 1/n as often as the first."""
    chance = random.Random(SEED)
    ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(videos)]
    yield from ids
    weights = list(accumulate(1 / rank for rank in range(1, videos + 1)))
    while True:
        yield from chance.choices(ids, cum_weights=weights, k=_CHOSEN)


def _of(video_id: str, view: View) -> View:
    """Return the same view of another video."""
    old, new = view.key.encode(), video_id.encode()
    headers = [
        (name, value.replace(old, new) if name == "ce_subject" else value)
        for name, value in view.headers
    ]
    return View(video_id, view.body.replace(old, new), headers)


async def make_topics(bootstrap: str, partitions: int) -> None:
    """Make StreamHub's topics anew, empty, as an installation with so many partitions has them."""
    await asyncio.to_thread(_delete_topics, AdminClient({"bootstrap.servers": bootstrap}))
    installation = Installation(bootstrap, partitions, replication=1, min_insync_replicas=1)
    await apply_topics(installation)
    # A second look fails where a topic has another number of partitions.
    await apply_topics(installation)


def _delete_topics(admin: AdminClient) -> None:
    """Delete the topics of the catalogue that exist, and wait until they are gone."""
    ours = {topic.name for topic in topics()}
    deadline = time.monotonic() + _TIMEOUT_S
    found = ours & admin.list_topics(timeout=_TIMEOUT_S).topics.keys()
    for future in admin.delete_topics(sorted(found)).values() if found else ():
        future.result(_TIMEOUT_S)
    while ours & admin.list_topics(timeout=_TIMEOUT_S).topics.keys():
        if time.monotonic() > deadline:
            raise TimeoutError("topics that were deleted are still there")
        time.sleep(_LOOK_S)
