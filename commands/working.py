"""What a batch of commands comes to before it stands in the log."""

from __future__ import annotations

from collections.abc import Mapping

from commands.aggregate import StreamState
from commands.cache import PartitionCache
from commands.ports import MARKER_OFFSETS, CommandLog, DomainPartition
from events.outcomes import CommandDecided, Position


class Working:
    """States and outcomes as they will be once a batch is committed, over those that are.

    ``before`` is a batch whose transaction may not have ended yet. This one is appended only where
    that one was committed, so what it came to counts here already.
    """

    def __init__(
        self,
        caches: Mapping[DomainPartition, PartitionCache],
        command_log: CommandLog,
        before: Working | None = None,
    ) -> None:
        self._caches = caches
        self._log = command_log
        self._states: dict[tuple[DomainPartition, str], StreamState] = {}
        self._outcomes: dict[tuple[DomainPartition, str], CommandDecided] = {}
        #: The offset of the last event of each partition that the batch writes to.
        self._last: dict[DomainPartition, int] = {}
        self._states_before = before._states if before else {}  # noqa: SLF001 another of its kind
        self._outcomes_before = before._outcomes if before else {}  # noqa: SLF001
        self._last_before = before._last if before else {}  # noqa: SLF001

    def state(self, partition: DomainPartition, stream: str) -> StreamState:
        """Return the state of a prefetched stream."""
        key = partition, stream
        return (
            self._states.get(key)
            or self._states_before.get(key)
            or self._caches[partition].state(stream)
        )

    def put_state(self, partition: DomainPartition, stream: str, state: StreamState) -> None:
        self._states[partition, stream] = state

    def outcome(self, partition: DomainPartition, command_id: str) -> CommandDecided | None:
        """Return what became of a prefetched command, or None when it was never decided."""
        key = partition, command_id
        return (
            self._outcomes.get(key)
            or self._outcomes_before.get(key)
            or self._caches[partition].outcome(command_id)
        )

    def put_outcome(self, partition: DomainPartition, outcome: CommandDecided) -> None:
        self._outcomes[partition, outcome.command_id] = outcome

    def position(self, partition: DomainPartition, events: int) -> Position:
        """Return where the partition's last event stands once so many more are appended."""
        if events:
            self._last[partition] = self._next(partition) + events - 1
        last = self._last.get(partition, self._last_before.get(partition))
        if last is None:
            last = self._caches[partition].position.last_event
        return Position(domain=partition.domain, partition=partition.partition, offset=last)

    def _next(self, partition: DomainPartition) -> int:
        if partition in self._last:
            return self._last[partition] + 1
        if partition in self._last_before:
            return self._last_before[partition] + 1 + MARKER_OFFSETS
        return self._log.next_offset(partition)

    def commit(self) -> None:
        """Hand everything to the caches after the transaction was committed."""
        for (partition, stream), state in self._states.items():
            self._caches[partition].put_state(stream, state)
        for (partition, _), outcome in self._outcomes.items():
            self._caches[partition].put_outcome(outcome)
