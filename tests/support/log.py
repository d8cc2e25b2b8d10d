"""The log as it really is, read by a plain consumer and taken apart without StreamHub's own code.

Bodies stay JSON: personal fields are ciphertext here, and nothing is decided on them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.catalogue import DOMAINS

Place = tuple[str, int]


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
            broken.append((record.topic, record.partition, record.offset))
        else:
            (events if record.topic.startswith("events.") else outcomes).append(entry)
    return Log(events, outcomes, broken)


async def read_topics(bootstrap: str, topics: Iterable[str]) -> list[Any]:
    """Return the client library's committed records of topics, each partition in its order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        records: list[Any] = []
        waiting = set(partitions)
        while waiting:
            for fetched in (await consumer.getmany(timeout_ms=200)).values():
                records.extend(fetched)
            waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()
    return [r for r in records if r.offset < ends[TopicPartition(r.topic, r.partition)]]


def _entry(record: Any) -> Entry:
    headers = {name: value.decode() for name, value in record.headers}
    body = json.loads(record.value)
    if not isinstance(body, dict):
        raise ValueError("a body must be an object")  # noqa: TRY004 - JSON of the wrong form
    return Entry(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key.decode(),
        type=headers["ce_type"],
        stream=headers["ce_subject"],
        version=int(headers["stream_version"]),
        event_id=headers["ce_id"],
        command_id=headers["command_id"],
        time=headers["ce_time"],
        body=body,
    )


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
