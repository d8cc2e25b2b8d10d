"""Records for tests that need no Kafka."""

from __future__ import annotations

from events.base import Event, Metadata, TopicPartition
from events.codec import LogRecord, encode_body, event_headers
from events.privacy import KeyRing
from infra.log_tools.keys import NoKeys
from tests.unit.events.known import COMMAND, NOW


def record_of(
    event: Event,
    offset: int = 0,
    *,
    keys: KeyRing | None = None,
    timestamp_ms: int = 0,
    partition: int = 0,
) -> LogRecord:
    """Return how an event stands in the log."""
    metadata = Metadata(
        event_id=f"event-{offset}",
        stored_name=event.stored_name(),
        stream="a stream",
        stream_version=offset + 1,
        time=NOW,
        command_id=COMMAND,
        correlation_id="a request",
        causation_id=COMMAND,
        actor_id="somebody",
    )
    kind = "outcomes.videos" if event.domain == "outcomes" else f"events.{event.domain}"
    return LogRecord(
        TopicPartition(kind, partition),
        offset,
        "a key",
        encode_body(event, keys or NoKeys().ring),
        dict(event_headers(event, metadata)),
        timestamp_ms,
    )
