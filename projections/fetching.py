"""Consumers that hand over the bytes of a fetch, and begin the next one at a pace.

aiokafka makes objects of all records of a fetch before it hands out the first. Here they are made
where they are read (``unpacking``). The client has no setting for that: two names in its fetcher's
module are replaced below. A ``WholeFetchConsumer`` gets fetches, all other consumers get records as
ever; what decompresses is replaced for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import lz4.frame  # type: ignore[import-untyped]
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record._crecords import default_records
from aiokafka.record.memory_records import MemoryRecords

from events.base import TopicPartition
from projections.unpacking import Fetched

#: Bytes, as they are in Kafka, that a fetch brings of one partition at most where nothing else is
#: said; it is never parted. Behind a backlog this is the size of a step, and what changes a hundred
#: times in a step is written once: of four times as much, OpenSearch writes hardly more.
PARTITION_BYTES = 4 << 20
#: How long the next fetch waits for the last one to be taken: for ever. Otherwise it goes without
#: the partitions that have something, which would then have to wait until others get something.
_UNTAKEN_S = 86_400.0
#: Offsets from which up a fetch is worth its costs, and the next one need not wait for company.
FULL_OFFSETS = 1_000


class Pace:
    """When the next fetch may begin: some time after one that brought little.

    Given to a consumer instead of a deserializer of keys, it asks for fetches instead of records.
    """

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s
        self._due = 0.0
        self._offsets = 0

    async def rest(self) -> None:
        """Return when the next fetch may begin."""
        now = asyncio.get_running_loop().time()
        if self._due > now:
            await asyncio.sleep(self._due - now)

    def fetched(self, offsets: int) -> None:
        """Note that a partition brought so many offsets."""
        self._offsets += offsets

    def over(self) -> None:
        """Note that all partitions of a fetch are here."""
        if 0 < self._offsets < FULL_OFFSETS:
            self._due = asyncio.get_running_loop().time() + self._pace_s
        self._offsets = 0


class WholeFetchConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """Gets what is committed, as ``Fetched`` where others get records; commits nothing itself.

    A fetch that brought little is followed by the next one ``pace_s`` after it. The client fetches
    ahead, so whoever took what comes at such a pace instead would each time get what the fetch
    found when it was sent off, and what came since a whole turn later. ``options`` are the
    client's.
    """

    def __init__(
        self, partition_bytes: int = PARTITION_BYTES, pace_s: float = 0.0, **options: Any
    ) -> None:
        self._pace = Pace(pace_s)
        super().__init__(
            key_deserializer=self._pace,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=partition_bytes,
            **options,
        )

    async def start(self) -> None:
        await super().start()
        # No setting leads to either.
        self._fetcher._prefetch_backoff = _UNTAKEN_S  # noqa: SLF001
        self._at_once = self._fetcher._proc_fetch_request  # noqa: SLF001
        self._fetcher._proc_fetch_request = self._in_time  # noqa: SLF001

    async def _in_time(self, *fetch: Any) -> bool:
        """Fetch when it is time to; say whether something came."""
        try:
            await self._pace.rest()
        except asyncio.CancelledError:
            # As the client's own: the partitions are gone, and so is the interest.
            return False
        found: bool = await self._at_once(*fetch)
        self._pace.over()
        return found


class _Kept:
    """Stands in for ``MemoryRecords``: keeps the bytes, which may be read more than once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        records = MemoryRecords(data)
        self.has_next = records.has_next
        self.next_batch = records.next_batch
        self.size_in_bytes = records.size_in_bytes


class _WholeFetch(PartitionRecords):  # type: ignore[misc]
    """All that it yields is one ``Fetched``; the client moves on to its end."""

    def __init__(
        self,
        tp: Any,
        kept: _Kept,
        aborted: Sequence[tuple[int, int]] | None,
        begins: int,
        pace: Pace,
        *options: Any,
    ) -> None:
        super().__init__(tp, kept, aborted, begins, None, *options)
        end = _end(kept.data, begins)
        pace.fetched(end - begins)
        self._fetched = Fetched(
            TopicPartition(tp.topic, tp.partition),
            begins,
            end,
            kept.data,
            tuple(aborted or ()),
            (None, *options),
        )

    def _unpack_records(self) -> Iterator[Fetched]:
        self.next_fetch_offset = self._fetched.ends
        yield self._fetched


def _end(data: bytes, begins: int) -> int:
    """Return the offset behind what was fetched; nothing needs to be unpacked for that."""
    records = MemoryRecords(data)
    end = begins
    while records.has_next():
        end = records.next_batch().next_offset
    return end


def _partition_records(
    tp: Any,
    kept: _Kept,
    aborted: Sequence[tuple[int, int]] | None,
    begins: int,
    key_deserializer: Any,
    value_deserializer: Any,
    *options: Any,
) -> PartitionRecords:
    """Stand in for the class ``PartitionRecords``."""
    if isinstance(key_deserializer, Pace):
        return _WholeFetch(
            tp, kept, aborted, begins, key_deserializer, value_deserializer, *options
        )
    return PartitionRecords(
        tp, kept, aborted, begins, key_deserializer, value_deserializer, *options
    )


fetcher.MemoryRecords = _Kept
fetcher.PartitionRecords = _partition_records
# A batch of a small transaction is a few records. The client's own library takes three times as
# long for one of those, which is a tenth of all that reading costs.
default_records.lz4_decode = lz4.frame.decompress
