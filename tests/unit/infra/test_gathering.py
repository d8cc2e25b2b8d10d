"""Questions of many, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from infra.gathering import Gathering


class Server:
    """Answers with the square of a number below ten, when it is let."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.open = asyncio.Event()
        self.error: Exception | None = None
        self.gathering = Gathering(self._answers)

    async def _answers(self, questions: Sequence[int]) -> dict[int, int]:
        self.asked.append(list(questions))
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return {question: question**2 for question in questions if question < 10}

    def ask(self, question: int) -> asyncio.Task[int | None]:
        return asyncio.create_task(self.gathering.ask(question))


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_asked_during_an_answer_is_asked_together_behind_it() -> None:
    server = Server()
    first = server.ask(1)
    await turn()
    rest = [server.ask(question) for question in (2, 3, 3, 11)]
    await turn()
    assert server.asked == [[1]], "nothing is asked while an answer is awaited"
    server.open.set()
    assert await asyncio.gather(first, *rest) == [1, 4, 9, 9, None]
    assert server.asked == [[1], [2, 3, 11]]


async def test_an_answer_is_not_older_than_its_question() -> None:
    server = Server()
    before = server.ask(2)
    await turn()
    again = server.ask(2)
    await turn()
    server.open.set()
    assert (await before, await again) == (4, 4)
    assert server.asked == [[2], [2]]


async def test_a_failure_reaches_all_who_asked_and_nobody_else() -> None:
    server = Server()
    server.open.set()
    server.error = OSError("away")
    failing = [server.ask(question) for question in (1, 2)]
    for task in failing:
        with pytest.raises(OSError, match="away"):
            await task
    server.error = None
    assert await server.ask(3) == 9


async def test_whoever_gives_up_takes_the_answer_from_nobody() -> None:
    server = Server()
    gone, staying = server.ask(4), server.ask(4)
    await turn()
    gone.cancel()
    server.open.set()
    assert await staying == 16
    assert gone.cancelled()
