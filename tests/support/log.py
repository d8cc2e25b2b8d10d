"""The log as it really is, read by a plain consumer and taken apart without StreamHub's own code.

Bodies stay JSON: personal fields are ciphertext here, and nothing is decided on them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from events.base import TopicPartition as Source
from events.codec import Headers
from infra.kafka.appender import Appender
from schemas.catalogue import DOMAINS

Place = tuple[str, int]

_READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of an ``events.`` or ``outcomes.`` topic; ``time`` is its ``ce_time``."""

    topic: str
    partition: int
    offset: int
    key: str
    type: str
    stream: str
    version: int
    event_id: str
    command_id: str
    time: str
    body: Mapping[str, Any]

    @property
    def place(self) -> Place:
        return self.topic, self.partition


@dataclass(frozen=True, slots=True)
class Log:
    """Every committed event and outcome, each partition in its order; ``broken`` could not be read.

    ``broken`` holds topic, partition and offset of records whose headers or body are nonsense.
    """

    events: Sequence[Entry]
    outcomes: Sequence[Entry]
    broken: Sequence[tuple[str, int, int]]


async def read_log(bootstrap: str) -> Log:
    """Return everything that was committed until now."""
    events: list[Entry] = []
    outcomes: list[Entry] = []
    broken: list[tuple[str, int, int]] = []
    for record in await read_topics(
        bootstrap, [t for d in DOMAINS for t in (d.events, d.outcomes)]
    ):
        try:
            entry = _entry(record)
        except (KeyError, ValueError):
            broken.append((record.topic() or "", record.partition() or 0, record.offset() or 0))
        else:
            (events if entry.topic.startswith("events.") else outcomes).append(entry)
    return Log(events, outcomes, broken)


async def read_topics(bootstrap: str, topics: Iterable[str]) -> list[Message]:
    """Return the committed records of topics, each partition in its order."""
    return await asyncio.to_thread(_read_topics, bootstrap, set(topics))


def _read_topics(bootstrap: str, topics: Collection[str]) -> list[Message]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tests",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        known = consumer.list_topics(timeout=10).topics
        places = {(topic, number) for topic in topics for number in known[topic].partitions}
        consumer.assign([TopicPartition(topic, number, 0) for topic, number in places])
        return _read_to_ends(consumer, places)
    finally:
        consumer.close()


def _read_to_ends(consumer: Consumer, places: set[tuple[str, int]]) -> list[Message]:
    records: list[Message] = []
    deadline = time.monotonic() + _READ_TIMEOUT_S
    while places:
        assert time.monotonic() < deadline, f"the log cannot be read to its end: {places}"
        for message in consumer.consume(5_000, timeout=0.1):
            error = message.error()
            if error is None:
                records.append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                places.discard((message.topic() or "", message.partition() or 0))
    return records


def _entry(record: Message) -> Entry:
    headers = headers_of(record)
    body = json.loads(record.value() or b"")
    if not isinstance(body, dict):
        raise ValueError("a body must be an object")  # noqa: TRY004 - JSON of the wrong form
    return Entry(
        topic=record.topic() or "",
        partition=record.partition() or 0,
        offset=record.offset() or 0,
        key=(record.key() or b"").decode(),
        type=headers["ce_type"],
        stream=headers["ce_subject"],
        version=int(headers["stream_version"]),
        event_id=headers["ce_id"],
        command_id=headers["command_id"],
        time=headers["ce_time"],
        body=body,
    )


def headers_of(record: Message) -> dict[str, str]:
    """Return a record's headers as text."""
    pairs: Any = record.headers() or []
    return {name: (value or b"").decode("utf-8", "replace") for name, value in pairs}


def check_log(log: Log) -> None:
    """Prove W3, W4 and W5 over the whole log; fail with what contradicts them."""
    problems = [
        *_doubled_ids(log.events),
        *_streams(log.events),
        *_commands(log.events),
        *_outcomes(log),
    ]
    assert not problems, "\n".join(problems[:20])


def _doubled_ids(events: Sequence[Entry]) -> list[str]:
    counted = Counter(entry.event_id for entry in events)
    return [f"event {name} stands {n} times" for name, n in counted.items() if n > 1]


def _streams(events: Sequence[Entry]) -> list[str]:
    """W5: versions of a stream count 1, 2, 3 … in the order of one partition."""
    streams: dict[str, list[Entry]] = defaultdict(list)
    for entry in events:
        streams[entry.stream].append(entry)
    problems = []
    for stream, entries in streams.items():
        if len({(entry.place, entry.key) for entry in entries}) > 1:
            problems.append(f"stream {stream} stands in several partitions or under several keys")
        versions = [entry.version for entry in sorted(entries, key=lambda entry: entry.offset)]
        if versions != list(range(1, len(versions) + 1)):
            problems.append(f"stream {stream} has the versions {versions}")
    return problems


def _commands(events: Sequence[Entry]) -> list[str]:
    """W3: the events of a command stand side by side."""
    partitions: dict[Place, list[Entry]] = defaultdict(list)
    for entry in events:
        partitions[entry.place].append(entry)
    blocks: Counter[str] = Counter()
    for entries in partitions.values():
        if entries:
            blocks[entries[0].command_id] += 1
        blocks.update(b.command_id for a, b in pairwise(entries) if a.command_id != b.command_id)
    return [f"the events of command {name} stand apart" for name, n in blocks.items() if n > 1]


def _outcomes(log: Log) -> list[str]:
    """W3, W4: each command has one outcome, which tells its events and where the last one is."""
    counted = Counter(entry.body["command_id"] for entry in log.outcomes)
    problems = [f"command {name} was decided {n} times" for name, n in counted.items() if n > 1]
    following: dict[str, list[Entry]] = defaultdict(list)
    for entry in log.events:
        following[entry.command_id].append(entry)
    for outcome in log.outcomes:
        problems.extend(_outcome(outcome, following.pop(outcome.body["command_id"], [])))
    problems.extend(f"events of command {name} have no outcome" for name in following)
    return problems


def _outcome(outcome: Entry, events: Sequence[Entry]) -> list[str]:
    body = outcome.body
    who = f"command {body['command_id']} ({body['command_type']})"
    if body["event_count"] != len(events):
        return [f"{who} claims {body['event_count']} events and has {len(events)}"]
    if not events:
        return []
    last = events[-1]
    place = body["position"]
    if (f"events.{place['domain']}", place["partition"], place["offset"]) != (
        *last.place,
        last.offset,
    ):
        return [f"{who} claims to end at {place}, its last event is at {last.place}:{last.offset}"]
    if body["refusal"] is not None or body["stream_version"] != last.version:
        return [f"{who} tells another version or outcome than its events: {body}"]
    return []


async def put_record(
    bootstrap: str, source: Source, key: str, value: bytes, headers: Headers
) -> None:
    """Put a record on a partition, whatever it is; returns when it is there."""
    appender = Appender(bootstrap)
    try:
        await appender.append(source.topic, key, value, headers, source.partition)
    finally:
        await appender.close()
