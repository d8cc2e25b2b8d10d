"""Appending records: each is acknowledged by every replica, or given up within a bounded time.

What was given up is not sent later behind the caller's back: librdkafka drops a message whose
time is over (``message.timeout.ms``), also when the log comes back.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from events.codec import Headers
from events.errors import Unavailable
from infra.kafka.pump import Pump

log = structlog.get_logger(__name__)

GIVE_UP_AFTER_S = 5.0
_RETRY_AFTER_S = 2.0
_CLOSING_POLL_S = 0.01
#: What the client takes for "the partition of the key".
_BY_KEY = -1


class LogUnavailable(Unavailable):
    """The log did not acknowledge a record in time."""

    code = "LOG_UNAVAILABLE"


class Appender:
    """An idempotent producer that is served by the event loop.

    One that the log has lost track of, as after it was restored from an older copy, never sends
    again; the next record has another one.
    """

    def __init__(self, bootstrap: str) -> None:
        self._settings: dict[str, str | int | float | bool] = {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            # That of Java's and of most other clients: a key has one partition, whoever writes.
            "partitioner": "murmur2_random",
            "message.timeout.ms": int(GIVE_UP_AFTER_S * 1000),
            "reconnect.backoff.max.ms": 1000,
            "log_level": 2,
        }
        self._producer = Producer(self._settings)
        #: Producers that still have to say what they have given up.
        self._spent: list[Producer] = []
        self._pump = Pump(self._serve)

    def _serve(self) -> None:
        for producer in (*self._spent, self._producer):
            producer.poll(0)

    async def append(
        self, topic: str, key: str, value: bytes, headers: Headers, partition: int = _BY_KEY
    ) -> None:
        """Append a record to its key's partition or a given one; returns when all replicas have it.

        Raises:
            LogUnavailable: nobody acknowledged it in time, and nobody will.
        """
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def heard(error: Any, _message: Any) -> None:
            _settle(acknowledged, error)

        try:
            self._producer.produce(topic, value, key.encode(), partition, heard, headers=[*headers])
        except BufferError as error:
            raise _unavailable() from error
        except KafkaException as error:
            self._renew(error)
            raise _unavailable() from error
        with self._pump.awaited():
            await acknowledged

    def _renew(self, error: KafkaException) -> None:
        if error.args[0].code() != KafkaError._FATAL:  # noqa: SLF001
            return
        log.warning("producer_lost", reason=str(error))
        self._spent = [spent for spent in (*self._spent, self._producer) if len(spent)]
        self._producer = Producer(self._settings)

    async def close(self) -> None:
        """Wait for what is under way, then disconnect."""
        while self._pump.is_awaited:  # noqa: ASYNC110 - each of those inside ends in time
            await asyncio.sleep(_CLOSING_POLL_S)
        self._pump.stop()
        # What is left was given up by whoever appended it.
        await asyncio.to_thread(self._producer.flush, GIVE_UP_AFTER_S)


def _settle(acknowledged: asyncio.Future[None], error: Any) -> None:
    if acknowledged.done():
        return
    if error is None:
        acknowledged.set_result(None)
        return
    log.warning("append_failed", reason=str(error))
    acknowledged.set_exception(_unavailable())


def _unavailable() -> LogUnavailable:
    return LogUnavailable("The log cannot be reached", retry_after_s=_RETRY_AFTER_S)
