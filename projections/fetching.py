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
#: Given to a consumer instead of a deserializer of keys, it asks for fetches instead of records.
_WHOLE_FETCHES = object()


class WholeFetchConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """Gets what is committed, as ``Fetched`` where others get records; commits nothing itself.

    ``options`` are the client's.
    """

    def __init__(self, partition_bytes: int = PARTITION_BYTES, **options: Any) -> None:
        super().__init__(
            key_deserializer=_WHOLE_FETCHES,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=partition_bytes,
            **options,
        )

    async def start(self) -> None:
        await super().start()
        self._fetcher._prefetch_backoff = _UNTAKEN_S  # noqa: SLF001 - no setting leads there


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
        *options: Any,
    ) -> None:
        super().__init__(tp, kept, aborted, begins, *options)
        self._fetched = Fetched(
            TopicPartition(tp.topic, tp.partition),
            begins,
            _end(kept.data, begins),
            kept.data,
            tuple(aborted or ()),
            options,
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
    if key_deserializer is _WHOLE_FETCHES:
        return _WholeFetch(tp, kept, aborted, begins, None, value_deserializer, *options)
    return PartitionRecords(
        tp, kept, aborted, begins, key_deserializer, value_deserializer, *options
    )


fetcher.MemoryRecords = _Kept
fetcher.PartitionRecords = _partition_records
# A batch of a small transaction is a few records. The client's own library takes three times as
# long for one of those, which is a tenth of all that reading costs.
default_records.lz4_decode = lz4.frame.decompress
