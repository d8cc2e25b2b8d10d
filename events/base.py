"""What an event and a command are, and the facts that travel beside them.

An event's stored name carries an integer version (``video.liked.v1``). Name, version and domain
are data, written once on the class, never derived from an import path.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Annotated, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, StringConstraints

#: A UUID in its canonical lower-case text form. Kept as text: it is a Kafka key and a JSON string.
Id = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
]


class Message(BaseModel):
    """What events and commands share: immutable data with a stored name."""

    # An error that quotes what it was given would carry personal data into logs and dead letters.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: ClassVar[str]
    version: ClassVar[int] = 1
    domain: ClassVar[str]

    @classmethod
    @cache
    def stored_name(cls) -> str:
        """Return the name under which the log keeps it, such as ``video.liked.v1``."""
        return f"{cls.name}.v{cls.version}"


class Event(Message):
    """A past fact. Never rewritten; old versions are lifted by upcasters when they are read."""

    #: Why nobody should build on it any more, and what to use instead; empty while it is in use.
    deprecated: ClassVar[str] = ""

    # A reader that is one release behind must not choke on a field that it does not know yet.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Command(Message):
    """A wish, in the imperative. Time and ids arrive in it, so that deciding stays pure."""

    def key(self) -> str:
        """Return the aggregate id: the Kafka key, hence the partition and its one writer."""
        raise NotImplementedError

    def stream(self) -> str:
        """Return the stream whose state decides, and whose version the events raise."""
        raise NotImplementedError


@dataclass(slots=True)
class Metadata:
    """What the log knows of an event besides its data (CloudEvents attributes and our own).

    ``time`` is when the command was issued, UTC; ``stream_version`` counts from 1 in its stream.
    Nobody changes it; like all that is made once a record, it is not frozen, for freezing triples
    the time of making it.
    """

    event_id: str
    stored_name: str
    stream: str
    stream_version: int
    time: datetime
    command_id: str
    correlation_id: str
    causation_id: str
    actor_id: str | None = None
    traceparent: str | None = None


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(slots=True)
class Recorded:
    """An event as it stands in the log; nobody changes it."""

    event: Event
    metadata: Metadata
    source: TopicPartition
    offset: int
    key: str
