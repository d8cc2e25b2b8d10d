"""Putting aside what a reader cannot digest, and stopping it when that is too much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from events.codec import LogRecord
from events.deadletters import reason_of
from events.errors import StreamHubError
from projections.declaration import Projection
from projections.parking import Parked, ParkedKeys
from projections.patience import patiently
from projections.ports import DeadLetters

log = structlog.get_logger(__name__)

#: Dead letters are counted over this many records before their share means anything.
_CAP_WINDOW = 200


class TooManyDeadLetters(StreamHubError):
    """So much is indigestible that the reader, not the records, must be wrong; it stops."""

    code = "TOO_MANY_DEAD_LETTERS"


@dataclass(slots=True)
class Undertaker:
    """Buries the records of one reader; more than ``cap`` of those read lately it refuses."""

    reader: str
    letters: DeadLetters
    parked: ParkedKeys
    cap: float
    _read: int = 0
    _dead: int = 0

    async def bury(
        self,
        record: LogRecord,
        whose: str,
        error: BaseException,
        parking: Sequence[Projection] = (),
    ) -> None:
        """Put a record aside for ``whose`` sake; returns when it is safe.

        Its key waits from now on for the projections in ``parking``.
        """
        # That a record waits is no news: the one that it waits for was told of.
        tell = log.debug if isinstance(error, Parked) else log.error
        tell(
            "dead_letter",
            reader=whose,
            topic=record.source.topic,
            partition=record.source.partition,
            offset=record.offset,
            reason=reason_of(record, error),
        )
        # Before the letter: a key that waits with no letter yet is met again, the position stays.
        for projection in parking:
            await patiently(self.reader, self.parked.park, projection, record)
        names = [projection.name for projection in parking]
        await patiently(self.reader, self.letters.put, record, whose, error, names)

    def count(self, read: int, dead: int) -> None:
        """Note how many records were read, and how many of them are dead letters.

        Raises:
            TooManyDeadLetters: the cap is reached.
        """
        if self._read > 10 * _CAP_WINDOW:
            self._read, self._dead = self._read // 2, self._dead // 2
        self._read += read
        self._dead += dead
        share = self._dead / self._read if self._read >= _CAP_WINDOW else 0.0
        if share > self.cap:
            raise TooManyDeadLetters(
                f"{share:.0%} of the records are dead letters, over the cap of {self.cap:.0%}"
            )
