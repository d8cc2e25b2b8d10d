"""Records made of the bytes that came from Kafka: where they are read, or once for several readers.

Thousands of records, a dozen headers each, would pass through the processor's caches once for
everything that is done to them, and that costs more than the doing. So a record is made when it is
read, and of its headers what somebody asks for. Reading as such, with transactions and checksums,
stays the client's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import KafkaError
from aiokafka.record.memory_records import MemoryRecords

from events.base import TopicPartition
from events.codec import LogRecord, headers_of
from events.errors import Unavailable
from projections.batches import Batch

#: Records that are held at most for readers that have not come to them yet, some 4 KB each with all
#: that is made of them.
SHARED_RECORDS = 40_000


def log_unreadable(error: KafkaError) -> Unavailable:
    """Return what readers of the log are told of an error of the client."""
    return Unavailable(f"The log cannot be read: {error}", code="LOG_UNAVAILABLE")


class UnpackedRecord(LogRecord):
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

    def _consumer_record(self, source: Any, record: Any) -> UnpackedRecord:
        return UnpackedRecord(source, record)


class _RawShared(PartitionRecords):  # type: ignore[misc]
    """The client's reading of batches whose records are ours already."""

    def _consumer_record(self, source: Any, record: Any) -> Any:  # noqa: ARG002
        return record


class _SharedBatch:
    """Stands in for a batch of the log, whose records others go over too."""

    def __init__(self, shared: SharedRecords, source: TopicPartition, batch: Any) -> None:
        self._shared = shared
        self._source = source
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[UnpackedRecord]:
        return iter(self._shared.records(self._source, self._batch))


class _SharedBatches:
    """Stands in for ``MemoryRecords``."""

    def __init__(self, shared: SharedRecords, source: TopicPartition, data: bytes) -> None:
        self._shared = shared
        self._source = source
        self._batches = MemoryRecords(data)
        self.has_next = self._batches.has_next

    def next_batch(self) -> Any:
        batch = self._batches.next_batch()
        if batch.is_control_batch:
            return batch
        return _SharedBatch(self._shared, self._source, batch)


@dataclass(slots=True)
class _Held:
    records: Sequence[UnpackedRecord]
    readers_to_come: int


class SharedRecords:
    """Makes the records of a batch once for all readers in a process that come to it.

    A record keeps what was made of it, so it is decoded once as well. A batch is held until all
    readers of its topic have come to it; of a reader that is far behind, nothing is waited for.
    """

    def __init__(self, readers: Mapping[str, int], most: int = SHARED_RECORDS) -> None:
        self._readers = readers
        self._most = most
        self._count = 0
        #: By place, and by content: a log that was restored may hold another batch there.
        self._held: dict[tuple[TopicPartition, int, int], _Held] = {}

    @classmethod
    def among(cls, topics: Sequence[Iterable[str]]) -> SharedRecords | None:
        """Return what readers of these topics share; a single one shares nothing."""
        return cls(Counter(chain(*topics))) if len(topics) > 1 else None

    def records(self, source: TopicPartition, batch: Any) -> Sequence[UnpackedRecord]:
        """Return the records of a batch of the client's."""
        place = (source, batch.base_offset, batch.crc)
        held = self._held.pop(place, None)
        if held is None:
            made = [UnpackedRecord(source, record) for record in batch]
            held = _Held(made, self._readers.get(source.topic, 1))
        else:
            self._count -= len(held.records)
        held.readers_to_come -= 1
        if held.readers_to_come > 0:
            self._held[place] = held
            self._count += len(held.records)
            while self._count > self._most:
                oldest = self._held.pop(next(iter(self._held)))
                self._count -= len(oldest.records)
        return held.records


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
    #: What makes the records, where others in the process read the log as well.
    shared: SharedRecords | None = None

    def batch(self, shared: SharedRecords | None = None) -> Batch:
        """Return it for a reader, of several where they share records."""
        records = self if shared is None else replace(self, shared=shared)
        return Batch(self.source, self.begins, self.ends, records)

    def __iter__(self) -> Iterator[LogRecord]:
        about = (self.aborted, self.begins, *self.options)
        if self.shared is None:
            raw = _Raw(self.source, MemoryRecords(self.data), *about)
        else:
            batches = _SharedBatches(self.shared, self.source, self.data)
            raw = _RawShared(self.source, batches, *about)
        try:
            yield from raw._records_iterator  # noqa: SLF001 - spares a call a record
        except KafkaError as error:
            raise log_unreadable(error) from error
