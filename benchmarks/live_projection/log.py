"""Writing the log that all contestants read."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Producer

from benchmarks.live_projection.views import TOPIC, View
from infra.kafka.command_log import BATCH_RECORDS
from infra.kafka.topics import Installation, apply_topics

PARTITIONS = 4
_TIMEOUT_S = 30.0


async def make_topics(bootstrap: str) -> None:
    """Make StreamHub's topics as an installation of one machine has them."""
    await apply_topics(Installation(bootstrap, PARTITIONS, replication=1, min_insync_replicas=1))


def append(bootstrap: str, views: Iterable[View], batch: int = BATCH_RECORDS) -> None:
    """Append views as the command processor does: compressed, ``batch`` of them a transaction."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": "benchmark-views",
            "linger.ms": 0,
            "retry.backoff.ms": 2,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
        }
    )
    producer.init_transactions(_TIMEOUT_S)
    pending = 0
    for view in views:
        if pending == 0:
            producer.begin_transaction()
        producer.produce(TOPIC, view.body, view.key, headers=list(view.headers))
        pending = (pending + 1) % batch
        if pending == 0:
            _commit(producer)
    if pending:
        _commit(producer)


def _commit(producer: Producer) -> None:
    producer.flush(_TIMEOUT_S)
    producer.commit_transaction(_TIMEOUT_S)
