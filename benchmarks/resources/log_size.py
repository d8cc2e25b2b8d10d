"""How many bytes an event takes in Kafka's files."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from benchmarks.live_projection.log import append
from benchmarks.live_projection.views import TOPIC, Views
from infra.kafka.command_log import BATCH_RECORDS

EVENTS_ALONE = 200
EVENTS_TOGETHER = 20_000


def bytes_per_event(bootstrap: str, kafka_folder: Path) -> dict[str, float]:
    """Append views to a running broker; return what one takes, by how it came to the log."""
    views = Views(EVENTS_ALONE + EVENTS_TOGETHER)
    every = iter(views)
    start = _size(kafka_folder)
    append(bootstrap, islice(every, EVENTS_ALONE), batch=1)
    between = _size(kafka_folder)
    append(bootstrap, every, batch=BATCH_RECORDS)
    return {
        "plain": sum(map(len, (view.body for view in views))) / (EVENTS_ALONE + EVENTS_TOGETHER),
        "alone": (between - start) / EVENTS_ALONE,
        "together": (_size(kafka_folder) - between) / EVENTS_TOGETHER,
    }


def _size(kafka_folder: Path) -> int:
    """Return the bytes of the topic's records, transaction markers included."""
    return sum(path.stat().st_size for path in kafka_folder.glob(f"data/{TOPIC}-*/*.log"))
