"""The keys that wait, in Postgres for all four stores; each waits while a letter of it is open.

The letters are in Kafka and the keys here, and no transaction spans the two. So a record is noted
here before its letter is written; and a key is forgotten here only behind the last decision, if
nothing of it was put aside since its letters were read. Who decides leaves word of it first
(``in_doubt``): if that process dies, whoever reads the keys next looks the letters up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from events.base import TopicPartition
from events.codec import LogRecord
from events.deadletters import DeadLetter
from events.errors import Conflict, Unavailable
from infra.dead_letters.topic import LetterTopic, WaitingKey, read_letters
from infra.postgres.database import Pool
from infra.postgres.sink import store_errors
from projections.declaration import Projection
from projections.ports import StoreUnavailable, Waiting

_COLUMNS = "projection, build, topic, partition, key, since, last, in_doubt"
_OF_BUILDS = "(projection, build) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
_PARK = (
    "INSERT INTO parked_keys (projection, build, topic, partition, key, since, last) "
    "VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (projection, build, topic, partition, key) "
    "DO UPDATE SET last = greatest(parked_keys.last, excluded.last)"
)
_DOUBT = (
    f"UPDATE parked_keys SET in_doubt = true WHERE {_OF_BUILDS} "  # noqa: S608 - ours
    "AND topic = $3 AND partition = $4 AND key = $5"
)
_FORGET = (
    "DELETE FROM parked_keys WHERE projection = $1 AND build = $2 AND topic = $3 "
    "AND partition = $4 AND key = $5 AND last = $6"
)


class BuildParked(Conflict):
    """A build lacks what was decided about meanwhile; only one that is begun anew has it."""

    code = "BUILD_PARKED"


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """A key of a build that waits, from the record at ``since`` on; ``last`` is the newest."""

    projection: str
    build: str
    topic: str
    partition: int
    key: str
    since: int
    last: int
    in_doubt: bool

    @property
    def waiting(self) -> WaitingKey:
        """What letters know it by."""
        return WaitingKey(self.projection, TopicPartition(self.topic, self.partition), self.key)


class PostgresParking:
    """Implements ``projections.ports.Parking``; every method raises StoreUnavailable."""

    def __init__(self, pool: Pool, bootstrap: str) -> None:
        self._pool = pool
        self._bootstrap = bootstrap

    async def waiting(self, builds: Sequence[Projection]) -> Waiting:
        keys = await self.keys(builds)
        if any(key.in_doubt for key in keys):
            try:
                letters = await read_letters(self._bootstrap)
            except Unavailable as error:
                raise StoreUnavailable("the dead letters cannot be read") from error
            await self.release(keys, letters)
            keys = await self.keys(builds)
        found: dict[tuple[str, TopicPartition], dict[str, int]] = defaultdict(dict)
        for key in keys:
            found[key.projection, key.waiting.source][key.key] = key.since
        return found

    async def park(self, build: Projection, record: LogRecord) -> None:
        source = record.source
        async with store_errors():
            await self._pool.execute(
                _PARK,
                build.name,
                build.tag,
                source.topic,
                source.partition,
                record.key,
                record.offset,
            )

    async def keys(self, builds: Sequence[Projection]) -> list[ParkedKey]:
        """Return the keys of these builds that wait."""
        async with store_errors():
            rows = await self._pool.fetch(
                f"SELECT {_COLUMNS} FROM parked_keys WHERE {_OF_BUILDS}",  # noqa: S608 - ours
                *_names(builds),
            )
        return [ParkedKey(**row) for row in rows]

    async def counts(self, builds: Sequence[Projection]) -> Counter[tuple[str, TopicPartition]]:
        """Return how many keys wait, by projection and partition."""
        return Counter((key.projection, key.waiting.source) for key in await self.keys(builds))

    async def holds(self, build: Projection, letter: DeadLetter) -> bool:
        """Say whether a build lacks the record of a letter because its key waits."""
        record = letter.record
        return any(
            key.waiting == WaitingKey(build.name, record.source, record.key)
            and key.since <= record.offset
            for key in await self.keys([build])
        )

    async def doubt(self, builds: Sequence[Projection], letters: Iterable[DeadLetter]) -> None:
        """Leave word that letters are being decided about."""
        for source, key in {(letter.record.source, letter.record.key) for letter in letters}:
            async with store_errors():
                await self._pool.execute(
                    _DOUBT, *_names(builds), source.topic, source.partition, key
                )

    async def release(self, keys: Iterable[ParkedKey], letters: LetterTopic) -> list[ParkedKey]:
        """Forget the keys of which every letter is decided; return them.

        The keys were read before the letters. One of which a record was put aside since, or whose
        last letter is still on its way, goes on waiting.
        """
        released = []
        for key in keys:
            if letters.waiting(key.waiting) or not letters.knows(key.waiting, key.last):
                continue
            async with store_errors():
                done = await self._pool.execute(
                    _FORGET,
                    key.projection,
                    key.build,
                    key.topic,
                    key.partition,
                    key.key,
                    key.last,
                )
            if done == "DELETE 1":
                released.append(key)
        return released

    async def check(self, builds: Sequence[Projection]) -> None:
        """Let readers see builds only if what they lack can still be retried.

        Raises:
            BuildParked: what one of them lacks was retried or discarded for the live build.
        """
        keys = await self.keys(builds)
        if not keys:
            return
        letters = await read_letters(self._bootstrap)
        for key in keys:
            still = {letter.record.offset for letter in letters.waiting(key.waiting)}
            if key.since not in still:
                raise BuildParked(
                    f"{key.projection} {key.build} lacks {key.topic}/{key.partition}/{key.since}, "
                    "whose letter is decided; begin the build anew"
                )


def _names(builds: Sequence[Projection]) -> tuple[list[str], list[str]]:
    return [build.name for build in builds], [build.tag for build in builds]
