"""A bounded queue between two threads that stops both sides when any thread has failed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
_POLL_S = 0.1


class Stopped(Exception):
    """Another thread failed or was cancelled; there is nothing left to do here."""


class Channel(Generic[Item]):
    """Holds at most ``capacity`` items; ``put`` and iteration raise ``Stopped`` after ``stop``."""

    def __init__(self, capacity: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[Item | None] = queue.Queue(capacity)
        self._stop = stop

    def put(self, item: Item | None) -> None:
        """Add an item, waiting for room; ``None`` ends the channel."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return
        raise Stopped

    def __iter__(self) -> Iterator[Item]:
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if item is None:
                return
            yield item
        raise Stopped
