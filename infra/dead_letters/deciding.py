"""Deciding about many letters: each in its turn, then the keys are released that waited for them.

While letters are decided the readers go on; what comes of a key that waits becomes a letter. At the
end the readers stand still, what came meanwhile is decided as well, the key is forgotten, and the
readers go on knowing it: nothing is lost in between, and nothing applied before what waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from events.deadletters import DeadLetter, LetterState
from events.errors import Conflict, StreamHubError
from infra.bootstrap.core import Core
from infra.dead_letters.parking import ParkedKey
from infra.dead_letters.retry import OLDER_LETTER_OPEN, Retry
from infra.dead_letters.topic import LetterTopic
from projections.declaration import Projection, Store
from projections.registry import PROJECTIONS

#: How often what came meanwhile is decided before readers are stopped, and when it is so little
#: that they can be.
_ROUNDS = 10
_LITTLE = 10

Decide = Callable[[DeadLetter], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one letter, or of keys that waited: in words, or the error."""

    what: str
    state: str
    told: str = ""
    error: str = ""
    is_key: bool = False

    @property
    def has_to_wait(self) -> bool:
        """Whether nothing was tried because an older letter is open."""
        return self.error.startswith(OLDER_LETTER_OPEN)

    def as_data(self) -> dict[str, Any]:
        """Return it as scripts read it."""
        return {
            "letter": None if self.is_key else self.what,
            "key": self.what if self.is_key else None,
            "state": self.state,
            "result": self.told or None,
            "error": self.error or None,
        }


class Desk:
    """Where letters are decided about; ``letters`` is the topic as it was read."""

    def __init__(self, core: Core, letters: LetterTopic) -> None:
        self._core = core
        self._letters = letters
        self._retry = Retry(core, letters)

    async def retry(self, chosen: Iterable[DeadLetter]) -> list[Result]:
        """Apply letters, and those that wait behind them, oldest first."""
        named = [*chosen]
        asked_for = {letter.id for letter in named}
        results = await self._all(self._letters.with_followers(named), self._apply, newer=True)
        # What came along and has to wait behind a failure is not worth a line each.
        return [each for each in results if each.what in asked_for or not each.has_to_wait]

    async def discard(self, chosen: Iterable[DeadLetter], because: str) -> list[Result]:
        """Decide that letters are never applied; what waits behind them goes on waiting."""

        async def discard(letter: DeadLetter) -> str:
            await self._letters.decide(letter, LetterState.DISCARDED, because)
            return because

        return await self._all([*chosen], discard, newer=False)

    async def _apply(self, letter: DeadLetter) -> str:
        readers = await self._retry.apply(letter)
        told = ", ".join(f"{reader}: {result}" for reader, result in readers.items())
        await self._letters.decide(letter, LetterState.RETRIED, told)
        return told

    async def _all(
        self, letters: Sequence[DeadLetter], decide: Decide, *, newer: bool
    ) -> list[Result]:
        parking = [letter for letter in letters if letter.parked]
        builds = await self._core.builds.seen(PROJECTIONS)
        if parking:
            await self._core.parking.doubt(builds, parking)
        results = [await _one(letter, decide) for letter in letters]
        for store in Store:
            mine = [build for build in builds if build.store is store]
            results += await self._release(store, mine, decide if newer else None)
        return results

    async def _release(
        self, store: Store, builds: Sequence[Projection], decide: Decide | None
    ) -> list[Result]:
        """Release the keys whose letters are decided, those too that another left in doubt."""
        results: list[Result] = []
        try:
            for _ in range(_ROUNDS):
                done = await self._done(builds)
                if not done:
                    return results
                came = await self._newer(done, decide)
                results += came
                if len(came) <= _LITTLE:
                    break
            else:
                raise Conflict(
                    f"more comes of keys that wait in {store} than is retried; call it again",
                    code="STILL_PARKED",
                )
            async with self._core.builds.held(store):
                done = await self._done(builds)
                results += await self._newer(done, decide)
                released = await self._core.parking.release(done, self._letters)
        except StreamHubError as error:
            return [*results, _still_parked(store, error)]
        return results + [
            Result(f"{key.projection}/{key.topic}/{key.key}", "released", is_key=True)
            for key in released
        ]

    async def _done(self, builds: Sequence[Projection]) -> list[ParkedKey]:
        """Return the keys in doubt of which no letter that we have read is open."""
        keys = await self._core.parking.keys(builds)
        return [key for key in keys if key.in_doubt and not self._letters.waiting(key.waiting)]

    async def _newer(self, keys: Sequence[ParkedKey], decide: Decide | None) -> list[Result]:
        """Decide what came of keys since the letters were read, where it is to be decided."""
        await self._letters.refresh()
        if decide is None:
            return []
        return [
            await _one(letter, decide)
            for key in keys
            for letter in self._letters.waiting(key.waiting)
        ]


def _still_parked(store: Store, error: StreamHubError) -> Result:
    what = f"the keys that wait in {store}"
    return Result(what, "parked", error=f"{error.code}: {error.message}", is_key=True)


async def _one(letter: DeadLetter, decide: Decide) -> Result:
    """Decide about one letter; what goes wrong with it does not keep the others waiting."""
    if letter.state is not LetterState.OPEN:
        return Result(letter.id, letter.state, error=f"it was {letter.state} already")
    try:
        told = await decide(letter)
    except StreamHubError as error:
        return Result(letter.id, letter.state, error=f"{error.code}: {error.message}")
    return Result(letter.id, letter.state, told)
