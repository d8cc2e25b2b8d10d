"""Batches of records, and what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from events.base import TopicPartition
from events.codec import LogRecord


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that one partition holds from ``begins`` up to, not including, ``ends``.

    Offsets without a record hold transaction markers or aborted records; a batch may have no
    record at all, and still moves its reader on. Its records may be unpacked while they are
    iterated over, each time anew: who needs them twice at hand keeps them.
    """

    source: TopicPartition
    begins: int
    ends: int
    records: Iterable[LogRecord]


def span(batches: Iterable[Batch]) -> int:
    """Return how many offsets they span: as many as they have records, or a few more."""
    return sum(batch.ends - batch.begins for batch in batches)


def parted(batches: Iterable[Batch], least: int) -> Iterator[Sequence[Batch]]:
    """Yield batches in groups that span so many offsets, but for the last; none is torn apart."""
    together: list[Batch] = []
    for batch in batches:
        together.append(batch)
        if span(together) >= least:
            yield together
            together = []
    if together:
        yield together


class BatchReader(Protocol):
    """Whatever reads partitions from a position that it keeps itself.

    ``pace_s`` is the least time between two batches while little comes: what arrives meanwhile is
    one batch and costs what one costs. What comes after a pause is handed over at once.
    """

    name: str
    pace_s: float

    def topics(self) -> frozenset[str]:
        """Return the topics that it reads."""

    async def start(self) -> None:
        """Prepare before the first batch."""

    async def assign(self, sources: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Take partitions over; return the offset to start from in each."""

    async def apply(self, batches: Sequence[Batch]) -> None:
        """Take batches of different partitions in; after an exception they come again."""

    def position(self, source: TopicPartition) -> int:
        """Return the offset below which everything is safe: what may be committed to Kafka."""

    def received(self, source: TopicPartition) -> int:
        """Return the offset below which everything was handed over, done with or not."""
