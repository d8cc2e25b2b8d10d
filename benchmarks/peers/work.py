"""The work of a projection's peers: counts and offsets in one transaction, and the clock.

What is here runs in the peers' own environments: nothing of StreamHub, nothing that it installs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import confluent_kafka
import orjson
import psycopg

TOPIC = "events.engagement"
BATCH_RECORDS = 5_000
WITHIN_S = 1.0

MAKE = """
CREATE TABLE view_counts (video_id uuid PRIMARY KEY, view_count bigint NOT NULL);
CREATE TABLE offsets (partition integer PRIMARY KEY, next_offset bigint NOT NULL)
"""
ADD = """
INSERT INTO view_counts AS v (video_id, view_count)
SELECT * FROM unnest(%s::uuid[], %s::bigint[])
ON CONFLICT (video_id) DO UPDATE SET view_count = v.view_count + excluded.view_count
"""
MOVE = """
INSERT INTO offsets (partition, next_offset) SELECT * FROM unnest(%s::integer[], %s::bigint[])
ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The log, a database of one's own, a name that no other run has, and how many events come."""

    kafka: str
    postgres: str
    run: str
    events: int


def place() -> Place:
    """Return what the command line says."""
    parser = argparse.ArgumentParser()
    for option in ("--kafka", "--postgres", "--run"):
        parser.add_argument(option, required=True)
    parser.add_argument("--events", type=int, required=True)
    chosen = parser.parse_args()
    return Place(chosen.kafka, chosen.postgres, chosen.run, chosen.events)


class Stopwatch:
    """From the first records that the Kafka client hands out to the last ones committed.

    All these peers stand on confluent-kafka. Its consumer is watched until it has handed out
    something, then left as it was. Make one before the peer's library is imported.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._applied = 0
        self._started = (0.0, 0.0)
        self._watch()

    def _watch(self) -> None:
        stopwatch = self

        class WatchedConsumer(confluent_kafka.Consumer):
            def poll(self, *arguments: Any, **options: Any) -> Any:
                message = super().poll(*arguments, **options)
                if message is not None and message.error() is None:
                    start()
                return message

            def consume(self, *arguments: Any, **options: Any) -> Any:
                messages = super().consume(*arguments, **options)
                if any(message.error() is None for message in messages):
                    start()
                return messages

        def start() -> None:
            stopwatch._started = _now()
            del WatchedConsumer.poll, WatchedConsumer.consume

        vars(confluent_kafka)["Consumer"] = WatchedConsumer

    def count(self, events: int) -> None:
        """Note that so many more events are committed; say so and end with the last of them."""
        self._applied += events
        if self._applied >= self._events:
            wall, cpu = (end - start for end, start in zip(_now(), self._started, strict=True))
            found = {"applied": self._applied, "wall_s": wall, "cpu_s": cpu}
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
            # All is committed; peers differ in how long they take to say goodbye.
            os._exit(0)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def counted(bodies: Iterable[bytes]) -> Counter[str]:
    """Return video id -> views."""
    return Counter(orjson.loads(body)["video_id"] for body in bodies)


class Counts:
    """The tables, written by psycopg."""

    def __init__(self, url: str, stopwatch: Stopwatch) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(MAKE)
        self._stopwatch = stopwatch

    def write(self, counts: Mapping[str, int], offsets: Mapping[int, int]) -> None:
        """Add to the counts and move the offsets (partition -> the next one to read)."""
        with self._connection.transaction():
            self._connection.execute(ADD, [list(counts), list(counts.values())])
            self._connection.execute(MOVE, [list(offsets), list(offsets.values())])
        self._stopwatch.count(sum(counts.values()))
