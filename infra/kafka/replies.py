"""Reading what follows on one partition, from its end, on a thread of its own.

librdkafka keeps its place through every trouble of the log, so that nothing between is missed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import Consumer, Message, TopicPartition

log = structlog.get_logger(__name__)

_BATCH_RECORDS = 500
_POLL_S = 0.5
_CONNECT_TIMEOUT_S = 30.0


class TailReader:
    """Hands over committed records of a partition that come after ``start``."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partition: int,
        receive: Callable[[Sequence[Message]], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._topic, self._partition = topic, partition
        self._receive = receive
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="replies", daemon=True)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "streamhub-replies",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "fetch.wait.max.ms": 500,
                "fetch.queue.backoff.ms": 5,
                "reconnect.backoff.max.ms": 1000,
            }
        )

    async def start(self) -> None:
        """Find the end of the partition and read from there.

        Raises:
            confluent_kafka.KafkaException: the log does not answer.
        """
        await asyncio.to_thread(self._seek)
        self._thread.start()

    def _seek(self) -> None:
        place = TopicPartition(self._topic, self._partition)
        _, end = self._consumer.get_watermark_offsets(place, timeout=_CONNECT_TIMEOUT_S)
        self._consumer.assign([TopicPartition(self._topic, self._partition, end)])

    def _read(self) -> None:
        while not self._closing.is_set():
            first = self._consumer.poll(_POLL_S)
            if first is None:
                continue
            waiting = self._consumer.consume(_BATCH_RECORDS, timeout=0)
            records = [message for message in (first, *waiting) if _is_record(message)]
            if records:
                self._loop.call_soon_threadsafe(self._receive, records)

    async def close(self) -> None:
        """Stop reading and disconnect."""
        self._closing.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._consumer.close)


def _is_record(message: Message) -> bool:
    error = message.error()
    if error is not None:
        log.warning("replies_interrupted", reason=str(error))
    return error is None
