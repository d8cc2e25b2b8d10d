"""The log in large pieces, for rebuilds: everything from some positions on, as fast as it comes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as Place

from events.base import TopicPartition
from events.codec import LogRecord
from events.errors import Unavailable
from infra.kafka.command_log import log_record
from projections.batches import Batch

#: Records of one piece at most.
PIECE_RECORDS = 20_000
_WAIT_S = 0.2


class BulkReader:
    """Reads committed records of some partitions from their positions on; for one thread."""

    def __init__(self, bootstrap: str, starts: Mapping[TopicPartition, int]) -> None:
        self._at = dict(starts)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "streamhub-rebuild",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "queued.min.messages": 4 * PIECE_RECORDS,
                "fetch.message.max.bytes": 4 << 20,
                "fetch.wait.max.ms": 100,
            }
        )
        self._consumer.assign([Place(s.topic, s.partition, at) for s, at in starts.items()])

    def read(self) -> list[Batch]:
        """Return what comes next, a batch a partition; nothing when nothing came for a moment.

        Raises:
            Unavailable: the log cannot be read.
        """
        records: dict[TopicPartition, list[LogRecord]] = defaultdict(list)
        ends: dict[TopicPartition, int] = {}
        for message in self._consumer.consume(PIECE_RECORDS, _WAIT_S):
            source = TopicPartition(message.topic() or "", message.partition() or 0)
            if _is_end(message):
                ends[source] = message.offset() or 0
            else:
                record = log_record(message)
                records[source].append(record)
                ends[source] = record.offset + 1
        return [self._batch(source, records[source], end) for source, end in ends.items()]

    def _batch(self, source: TopicPartition, records: Sequence[LogRecord], end: int) -> Batch:
        begins = self._at[source]
        self._at[source] = max(begins, end)
        return Batch(source, begins, self._at[source], records)

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def _is_end(message: Message) -> bool:
    """Tell whether this is the end of a partition, at the message's offset, and no record."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's only name for it
        return True
    raise Unavailable(f"The log cannot be read: {error}", code="LOG_UNAVAILABLE")
