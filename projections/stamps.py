"""Where a change came from, for stores that keep it beside what they store.

A store that cannot change many rows in one step knows by it, row by row, what it has seen; one that
only adds rows has them told apart by it. So each change carries its event's offset, in whatever
batches the events come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, cast

from events.base import Recorded
from projections.declaration import Append, Change, Increment, Put

#: The column that holds the offset of the event which a change follows from.
OFFSET = "_offset"

Evolve = Callable[[Recorded], Iterable[Change]]


def stamped(evolve: Evolve) -> Evolve:
    """Return ``evolve`` with the event's offset in every change.

    Rows are never removed, or what had been seen would be forgotten: a tombstone is put. The stamp
    goes into the change itself: ``evolve`` makes its values anew for each event.
    """

    def evolve_and_stamp(recorded: Recorded) -> Iterable[Change]:
        changes = list(evolve(recorded))
        offset = recorded.offset
        for change in changes:
            _values(change)[OFFSET] = offset
        return changes

    return evolve_and_stamp


def _values(change: Change) -> MutableMapping[str, Any]:
    match change:
        case Increment():
            return cast("MutableMapping[str, Any]", change.amounts)
        case Append() | Put():
            return cast("MutableMapping[str, Any]", change.values)
        case _:
            raise TypeError(f"{type(change).__name__} cannot carry an offset")
