"""One answer for all who ask the same."""

from __future__ import annotations

import asyncio

import pytest

from infra.single_flight import SingleFlight


class Kitchen:
    """Answers with the number of the answer, when it is let."""

    def __init__(self) -> None:
        self.made = 0
        self.open = asyncio.Event()
        self.error: Exception | None = None
        self._flights = SingleFlight()

    async def _make(self) -> int:
        self.made += 1
        number = self.made
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return number

    def ask(self, question: str) -> asyncio.Task[int]:
        return asyncio.create_task(self._flights.once(question, self._make))


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_ask_at_once_get_one_answer() -> None:
    kitchen = Kitchen()
    asked = [kitchen.ask("trends") for _ in range(3)]
    await turn()
    kitchen.open.set()
    assert await asyncio.gather(*asked) == [1, 1, 1]


async def test_whoever_asks_while_it_is_made_gets_the_next_answer() -> None:
    kitchen = Kitchen()
    first = kitchen.ask("trends")
    await turn()
    later = [kitchen.ask("trends") for _ in range(3)]
    await turn()
    assert kitchen.made == 1, "one at a time"
    kitchen.open.set()
    assert await asyncio.gather(first, *later) == [1, 2, 2, 2]
    assert await kitchen.ask("trends") == 3


async def test_different_questions_do_not_wait_for_each_other() -> None:
    kitchen = Kitchen()
    asked = [kitchen.ask("trends"), kitchen.ask("followers")]
    await turn()
    assert kitchen.made == 2
    kitchen.open.set()
    assert sorted(await asyncio.gather(*asked)) == [1, 2]


async def test_an_error_is_for_those_who_asked_and_the_next_are_answered() -> None:
    kitchen = Kitchen()
    kitchen.error = ValueError("burnt")
    asked = [kitchen.ask("trends"), kitchen.ask("trends")]
    await turn()
    kitchen.open.set()
    for each in asked:
        with pytest.raises(ValueError, match="burnt"):
            await each
    kitchen.error = None
    assert await kitchen.ask("trends") == 2


async def test_whoever_gives_up_takes_the_answer_from_nobody() -> None:
    kitchen = Kitchen()
    gone, waiting = kitchen.ask("trends"), kitchen.ask("trends")
    await turn()
    gone.cancel()
    await turn()
    kitchen.open.set()
    assert await waiting == 1
