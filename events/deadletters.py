"""Dead letters: the original bytes of a record that a reader could not digest, and why."""

from __future__ import annotations

import traceback

from events import clock
from events.codec import Headers, LogRecord

#: Longest traceback that is kept, in characters: Kafka's default message limit is 1 MiB.
_TRACEBACK_CHARACTERS = 8_000


def dead_letter_headers(record: LogRecord, reader: str, error: BaseException) -> Headers:
    """Return the original headers and beside them reader, position, reason and traceback."""
    trace = "".join(traceback.format_exception(error))[-_TRACEBACK_CHARACTERS:]
    facts = {
        "dead_reader": reader,
        "dead_topic": record.source.topic,
        "dead_partition": str(record.source.partition),
        "dead_offset": str(record.offset),
        "dead_reason": f"{type(error).__name__}: {error}"[:1000],
        "dead_traceback": trace,
        "dead_time": clock.to_text(clock.now()),
    }
    return [*record.headers.items(), *((name, value.encode()) for name, value in facts.items())]
