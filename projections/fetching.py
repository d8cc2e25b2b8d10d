"""What a fetch brought of a partition, unpacked where it is read and not before.

aiokafka makes objects of all records of a fetch before it hands out the first. Thousands of them,
a dozen headers each, then pass through the processor's caches once for everything that is done to
them, and that costs more than the doing. Here the client hands over the bytes that came; a record
is made when it is read, and its room is free again for the next ones.

The client has no setting for that: two names in its fetcher's module are replaced below. A
``WholeFetchConsumer`` gets fetches, all other consumers get records as ever. Reading as such, with
transactions and checksums, stays the client's own; what decompresses is replaced for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lz4.frame  # type: ignore[import-untyped]
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import KafkaError
from aiokafka.record._crecords import default_records
from aiokafka.record.memory_records import MemoryRecords

from events.base import TopicPartition
from events.codec import LogRecord, headers_of
from events.errors import Unavailable

#: Bytes, as they are in Kafka, that a fetch brings of one partition at most where nothing else is
#: said; it is never parted.
PARTITION_BYTES = 1 << 20
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


def log_unreadable(error: KafkaError) -> Unavailable:
    """Return what readers of the log are told of an error of the client."""
    return Unavailable(f"The log cannot be read: {error}", code="LOG_UNAVAILABLE")


class _Kept:
    """Stands in for ``MemoryRecords``: keeps the bytes, which may be read more than once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        records = MemoryRecords(data)
        self.has_next = records.has_next
        self.next_batch = records.next_batch
        self.size_in_bytes = records.size_in_bytes


class _Unpacked(LogRecord):
    """A record that makes of what was unpacked what somebody asks for; most is not asked for."""

    __slots__ = ("_headers", "_record", "stored_name")

    def __init__(self, source: TopicPartition, record: Any) -> None:
        self.source = source
        self.offset = record.offset
        self.value = record.value or b""
        self.events = None
        self._record = record
        self._headers: dict[str, bytes] | None = None
        self.stored_name: bytes | None = self.header("ce_type")

    @property
    def key(self) -> str:  # type: ignore[override]
        return (self._record.key or b"").decode("utf-8", "replace")

    @property
    def timestamp_ms(self) -> int:  # type: ignore[override]
        timestamp: int = self._record.timestamp
        return timestamp

    def header(self, name: str) -> bytes | None:
        """Look for one header, which costs less than sorting all of them out."""
        found: bytes | None
        for header, found in self._record.headers:
            if header == name:
                return found
        return None

    @property
    def headers(self) -> Mapping[str, bytes]:  # type: ignore[override]
        if self._headers is None:
            self._headers = headers_of(self._record.headers)
        return self._headers


class _Raw(PartitionRecords):  # type: ignore[misc]
    """The client's reading, with records of ours."""

    def _consumer_record(self, source: Any, record: Any) -> _Unpacked:
        return _Unpacked(source, record)


@dataclass(frozen=True, slots=True)
class Fetched(Iterable[LogRecord]):
    """The committed records of a fetch; every iteration reads them anew.

    ``ends`` is the offset behind the fetch, with all that is no record in it.

    Raises:
        Unavailable: while iterating, where a checksum is wrong.
    """

    source: TopicPartition
    begins: int
    ends: int
    data: bytes
    aborted: Sequence[tuple[int, int]]
    options: Sequence[Any]

    def __iter__(self) -> Iterator[LogRecord]:
        records = MemoryRecords(self.data)
        raw = _Raw(self.source, records, self.aborted, self.begins, *self.options)
        try:
            yield from raw._records_iterator  # noqa: SLF001 - spares a call a record
        except KafkaError as error:
            raise log_unreadable(error) from error


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
