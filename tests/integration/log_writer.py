"""Logs of a test's own on the real Kafka, in topics that nobody else reads."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from commands.envelope import outcome_record
from events import clock
from events.base import Event, Metadata
from events.codec import Headers, event_headers
from events.engagement import VideoLiked
from events.outcomes import CommandDecided, Position
from infra.log_tools.reader import LogReader
from schemas.catalogue import Domain

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TIMEOUT_S = 30.0


def at(seconds: float) -> datetime:
    """Return a moment so many seconds after the start of the tests' time."""
    return START + timedelta(seconds=seconds)


def like() -> VideoLiked:
    """Return an event that needs nothing else."""
    return VideoLiked(video_id=clock.new_id(), creator_id=clock.new_id(), user_id=clock.new_id())


@dataclass(slots=True)
class Decided:
    """A command as it will be written: its events, and what its outcome says.

    What is None follows from the events; a test sets it to say something else.
    """

    stream: str = field(default_factory=lambda: f"like-{clock.new_id()}")
    versions: Sequence[int] = (1,)
    command_id: str = field(default_factory=clock.new_id)
    claimed_count: int | None = None
    claimed_version: int | None = None
    has_outcome: bool = True
    key: str = "a key"


class OwnLog:
    """A domain with topics of its own, and one producer of transactions."""

    def __init__(self, bootstrap: str, partitions: int = 1) -> None:
        name = f"test{secrets.token_hex(5)}"
        self.domain = Domain(name, "nothing", "tests", "A log of a test's own")
        self.bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": name,
                "transaction.timeout.ms": 10_000,
                "linger.ms": 0,
            }
        )
        self._topics = [self.domain.events, self.domain.outcomes]
        # The tests' time is long past: by Kafka's own setting it could go at any moment.
        kept = {"retention.ms": "-1"}
        new = [NewTopic(topic, partitions, config=kept) for topic in self._topics]
        for future in self._admin.create_topics(new).values():
            future.result(_TIMEOUT_S)
        self._producer.init_transactions(_TIMEOUT_S)
        self._reader = LogReader(bootstrap)

    def remove(self) -> None:
        """Remove the topics."""
        self._reader.close()
        for future in self._admin.delete_topics(self._topics).values():
            future.result(_TIMEOUT_S)

    def append(
        self,
        value: bytes,
        headers: Headers,
        *,
        topic: str = "",
        partition: int = 0,
        key: str = "a key",
        moment: datetime | None = None,
    ) -> int:
        """Append a record to the events in the open transaction; return its offset."""
        placed: list[int] = []
        self._producer.produce(
            topic or self.domain.events,
            value,
            key,
            partition=partition,
            headers=list(headers),
            timestamp=int((moment or START).timestamp() * 1000),
            on_delivery=lambda _error, message: placed.append(message.offset() or 0),
        )
        self._producer.flush(_TIMEOUT_S)
        return placed[0]

    @contextmanager
    def transaction(self, *, commits: bool = True) -> Iterator[None]:
        """Write in one transaction, and commit or abort it."""
        self._producer.begin_transaction()
        yield
        self._producer.flush(_TIMEOUT_S)
        if commits:
            self._producer.commit_transaction(_TIMEOUT_S)
        else:
            self._producer.abort_transaction(_TIMEOUT_S)
        self._wait_visible()

    def _wait_visible(self) -> None:
        """Wait for the transaction's markers: a commit returns before they are written."""
        deadline = time.monotonic() + _TIMEOUT_S
        sources = self._reader.partitions(self._topics)
        while self._reader.ends(sources) != self._reader.ends(sources, committed=False):
            assert time.monotonic() < deadline, "the transaction does not end"

    def like(self, seconds: float, partition: int = 0, **changed: Any) -> str:
        """Append a like in a transaction of its own; return the id of its event."""
        event, command_id = like(), clock.new_id()
        metadata = metadata_of(event, Decided(command_id=command_id, **changed), 1, at(seconds))
        with self.transaction():
            self.append(
                event.model_dump_json().encode(),
                event_headers(event, metadata),
                partition=partition,
                moment=at(seconds),
            )
        return metadata.event_id

    def decide(self, *commands: Decided) -> None:
        """Write commands in one transaction as their processor does: events, then outcomes."""
        with self.transaction():
            ends = [self.events_of(command) for command in commands]
            for command, end in zip(commands, ends, strict=True):
                if command.has_outcome:
                    self.outcome_of(command, end)

    def events_of(self, command: Decided) -> int:
        """Append a command's events; return the offset of the last one, or -1."""
        offset = -1
        for version in command.versions:
            event = like()
            offset = self.append(
                event.model_dump_json().encode(),
                event_headers(event, metadata_of(event, command, version, START)),
                key=command.key,
            )
        return offset

    def outcome_of(self, command: Decided, last: int) -> None:
        """Append a command's outcome."""
        count, version = command.claimed_count, command.claimed_version
        outcome = CommandDecided(
            command_id=command.command_id,
            command_type="like_video.v1",
            fingerprint="",
            stream=command.stream,
            stream_version=max(command.versions, default=0) if version is None else version,
            event_count=len(command.versions) if count is None else count,
            answer={},
            refusal=None,
            position=Position(domain=self.domain.name, partition=0, offset=last),
            time=START,
            actor_id=None,
        )
        body, headers = outcome_record(outcome)
        self.append(body, headers, topic=self.domain.outcomes, key=command.key)


def metadata_of(event: Event, command: Decided, version: int, moment: datetime) -> Metadata:
    return Metadata(
        event_id=clock.new_id(),
        stored_name=event.stored_name(),
        stream=command.stream,
        stream_version=version,
        time=moment,
        command_id=command.command_id,
        correlation_id=command.command_id,
        causation_id=command.command_id,
    )


def body(**fields: Any) -> bytes:
    """Return a JSON body."""
    return orjson.dumps(fields)
