"""Reading what follows on one partition, from its end, while somebody waits for it.

librdkafka keeps its place through every trouble of the log, so that nothing between is missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import structlog
from confluent_kafka import Consumer, Message, TopicPartition

from infra.kafka.pump import Pump

log = structlog.get_logger(__name__)

_BATCH_RECORDS = 500
#: Fetched ahead at most; replies to other processes are among it.
_AHEAD_KIB = 4_096
_CONNECT_TIMEOUT_S = 30.0


class TailReader:
    """Hands over committed records of a partition that come after ``start``.

    Soon while anybody is inside ``awaited``, within a second otherwise.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        partition: int,
        receive: Callable[[Sequence[Message]], None],
    ) -> None:
        self._topic, self._partition = topic, partition
        self._receive = receive
        self._pump: Pump | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "streamhub-replies",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "fetch.wait.max.ms": 500,
                "fetch.queue.backoff.ms": 5,
                "queued.max.messages.kbytes": _AHEAD_KIB,
                "reconnect.backoff.max.ms": 1000,
            }
        )

    async def start(self) -> None:
        """Find the end of the partition and read from there.

        Raises:
            confluent_kafka.KafkaException: the log does not answer.
        """
        await asyncio.to_thread(self._seek)
        self._pump = Pump(self._read)

    def _seek(self) -> None:
        place = TopicPartition(self._topic, self._partition)
        _, end = self._consumer.get_watermark_offsets(place, timeout=_CONNECT_TIMEOUT_S)
        self._consumer.assign([TopicPartition(self._topic, self._partition, end)])

    def awaited(self) -> AbstractContextManager[None]:
        """Hand over soon what comes."""
        return self._pump.awaited() if self._pump else nullcontext()

    def _read(self) -> None:
        messages = self._consumer.consume(_BATCH_RECORDS, timeout=0)
        records = [message for message in messages if _is_record(message)]
        if records:
            self._receive(records)

    async def close(self) -> None:
        """Disconnect; whoever is still inside ``awaited`` hears nothing more."""
        if self._pump is not None:
            self._pump.stop()
        await asyncio.to_thread(self._consumer.close)


def _is_record(message: Message) -> bool:
    error = message.error()
    if error is not None:
        log.warning("replies_interrupted", reason=str(error))
    return error is None
