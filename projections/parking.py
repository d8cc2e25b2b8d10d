"""What a runner knows of keys that wait: those of which a record could not be digested.

A projection whose policy is to park applies nothing of such a key; the records go to the dead
letters in their order, until operators have retried or discarded all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from events.base import TopicPartition
from events.codec import LogRecord
from events.errors import StreamHubError
from projections.declaration import AfterPoison, Projection
from projections.ports import Parking

_NOTHING: Mapping[str, int] = {}


class Parked(StreamHubError):
    """The record is sound, and waits for one before it of the same key."""

    code = "PARKED"


class ParkedKeys:
    """The keys that wait in the partitions of a runner, as they stand in the common memory."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking
        #: By projection and partition; empty while no key waits, so that nothing is looked up.
        self.since: dict[tuple[str, TopicPartition], dict[str, int]] = {}

    async def load(self, builds: Sequence[Projection]) -> None:
        """Learn which keys wait; positions are to be read before, never behind it."""
        parking = [build for build in builds if build.after_poison is AfterPoison.PARK]
        found = await self._parking.waiting(parking) if parking else {}
        self.since.clear()
        self.since.update((place, dict(keys)) for place, keys in found.items())

    def check(self, build: Projection, record: LogRecord) -> None:
        """Let a record pass unless its key waits.

        Raises:
            Parked: it does.
        """
        since = self.since.get((build.name, record.source), _NOTHING).get(record.key)
        if since is None or record.offset < since:
            return
        if record.offset == since:
            raise Parked(f"{build.name} was putting it aside when its process ended")
        place = f"{record.source.topic}/{record.source.partition}/{since}"
        raise Parked(f"it waits behind {place}, which {build.name} has not applied")

    async def park(self, build: Projection, record: LogRecord) -> None:
        """Have the record's key wait from this record on, or go on waiting."""
        await self._parking.park(build, record)
        keys = self.since.setdefault((build.name, record.source), {})
        keys.setdefault(record.key, record.offset)
