"""The log in large pieces, for rebuilds: everything from some positions on, as fast as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from events.base import TopicPartition
from projections.batches import Batch
from projections.fetching import PARTITION_BYTES, WholeFetchConsumer
from projections.unpacking import Fetched, SharedRecords, log_unreadable

#: Bytes, as they are in Kafka, that one piece has of a partition at most for who is held to a rate:
#: many small pieces make it more even. For all others larger ones are better, since stores take the
#: end of a piece in before the next one begins.
_PACED_PARTITION_BYTES = 1 << 20
#: So many partitions fill a piece.
_PARTITIONS = 4
_WAIT_MS = 200


class BulkReader:
    """Reads committed records of some partitions from their positions on.

    Whoever is ``paced`` gets smaller pieces. ``shared`` is what several readers of them have in
    common.
    """

    def __init__(
        self,
        bootstrap: str,
        starts: Mapping[TopicPartition, int],
        shared: SharedRecords | None = None,
        *,
        paced: bool = False,
    ) -> None:
        self._shared = shared
        partition_bytes = _PACED_PARTITION_BYTES if paced else PARTITION_BYTES
        self._starts = {KafkaTopicPartition(s.topic, s.partition): at for s, at in starts.items()}
        self._consumer = WholeFetchConsumer(
            partition_bytes=partition_bytes,
            bootstrap_servers=bootstrap,
            auto_offset_reset="none",
            fetch_max_bytes=_PARTITIONS * partition_bytes,
        )

    async def start(self) -> None:
        """Connect.

        Raises:
            Unavailable: the log cannot be reached.
        """
        try:
            await self._consumer.start()
        except KafkaError as error:
            await self._consumer.stop()
            raise log_unreadable(error) from error
        self._consumer.assign(list(self._starts))
        for partition, at in self._starts.items():
            self._consumer.seek(partition, at)
        # Stopping the client before a task of its own has begun raises CancelledError.
        await asyncio.sleep(0)

    async def read(self) -> list[Batch]:
        """Return what comes next, a batch a partition; nothing when nothing came for a moment.

        Raises:
            Unavailable: the log cannot be read.
        """
        try:
            fetches = await self._consumer.getmany(timeout_ms=_WAIT_MS)
        except KafkaError as error:
            raise log_unreadable(error) from error
        return [
            fetched.batch(self._shared)
            for one in fetches.values()
            for fetched in cast("Sequence[Fetched]", one)
        ]

    async def close(self) -> None:
        """Disconnect."""
        await self._consumer.stop()
