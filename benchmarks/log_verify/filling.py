"""Writing a log whose events and outcomes agree, as the command processor does."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import islice

from confluent_kafka import KafkaError, Message, Producer

from benchmarks.live_projection.views import View
from commands.envelope import outcome_record
from events.codec import Headers, decode_metadata
from events.outcomes import CommandDecided, Position
from infra.kafka.command_log import BATCH_RECORDS
from schemas.catalogue import domain_named

PARTITIONS = 4
DOMAIN = domain_named("engagement")
_TIMEOUT_S = 30.0


def fill(bootstrap: str, views: Iterable[View]) -> None:
    """Append views with their outcomes, a command an event, 500 commands a transaction."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": "benchmark-log",
            "linger.ms": 0,
            "compression.type": "lz4",
        }
    )
    producer.init_transactions(_TIMEOUT_S)
    waiting = iter(views)
    while batch := list(islice(waiting, BATCH_RECORDS)):
        producer.begin_transaction()
        offsets = _produce(producer, batch)
        for view, offset in zip(batch, offsets, strict=True):
            body, headers = _outcome(view, offset)
            producer.produce(
                DOMAIN.outcomes, body, view.key, partition_of(view.key), headers=list(headers)
            )
        producer.flush(_TIMEOUT_S)
        producer.commit_transaction(_TIMEOUT_S)


def partition_of(key: str) -> int:
    """Return where a key stands: any choice does that is always the same."""
    return zlib.crc32(key.encode()) % PARTITIONS


def _produce(producer: Producer, views: Sequence[View]) -> list[int]:
    """Append events; return their offsets."""
    placed: dict[int, int] = {}

    for number, view in enumerate(views):

        def note(error: KafkaError | None, message: Message, number: int = number) -> None:
            assert error is None, error
            placed[number] = message.offset() or 0

        producer.produce(
            DOMAIN.events,
            view.body,
            view.key,
            partition_of(view.key),
            headers=list(view.headers),
            on_delivery=note,
        )
    producer.flush(_TIMEOUT_S)
    return [placed[number] for number in range(len(views))]


def _outcome(view: View, offset: int) -> tuple[bytes, Headers]:
    metadata = decode_metadata(dict(view.headers))
    return outcome_record(
        CommandDecided(
            command_id=metadata.command_id,
            command_type="record_view.v1",
            fingerprint="",
            stream=metadata.stream,
            stream_version=metadata.stream_version,
            event_count=1,
            answer={},
            refusal=None,
            position=Position(domain=DOMAIN.name, partition=partition_of(view.key), offset=offset),
            time=metadata.time,
            actor_id=metadata.actor_id,
        )
    )
