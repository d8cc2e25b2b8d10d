"""The topic of dead letters."""

from __future__ import annotations

from collections.abc import Sequence

from events.codec import LogRecord
from events.deadletters import dead_letter_headers
from infra.kafka.appender import Appender, LogUnavailable
from projections.ports import StoreUnavailable
from schemas.catalogue import DEAD_LETTERS


class KafkaDeadLetters:
    """Implements ``projections.ports.DeadLetters``; connects at the first letter."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._appender: Appender | None = None

    async def put(
        self, record: LogRecord, reader: str, error: BaseException, parked: Sequence[str] = ()
    ) -> None:
        if self._appender is None:
            self._appender = Appender(self._bootstrap)
        headers = dead_letter_headers(record, reader, error, parked)
        try:
            await self._appender.append(DEAD_LETTERS, record.key, record.value, headers)
        except LogUnavailable as failure:
            raise StoreUnavailable("the dead letters cannot be written") from failure

    async def close(self) -> None:
        if self._appender is not None:
            await self._appender.close()
