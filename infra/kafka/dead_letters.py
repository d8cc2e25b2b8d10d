"""The topic of dead letters."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from events.codec import LogRecord
from events.deadletters import dead_letter_headers
from projections.ports import StoreUnavailable
from schemas.catalogue import DEAD_LETTERS


class KafkaDeadLetters:
    """Implements ``projections.ports.DeadLetters``; connects at the first letter."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None

    async def put(self, record: LogRecord, reader: str, error: BaseException) -> None:
        try:
            producer = await self._connected()
            await producer.send_and_wait(
                DEAD_LETTERS,
                value=record.value,
                key=record.key.encode(),
                headers=dead_letter_headers(record, reader, error),
            )
        except KafkaError as failure:
            raise StoreUnavailable(f"the dead letters cannot be written: {failure}") from failure

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap, enable_idempotence=True, acks="all"
            )
            await producer.start()
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()
