"""Questions of many requests, put to a server together.

While one question is being answered, those that come meanwhile gather, and go as one. Alone a
question waits for nobody; under load a hundred requests cost one round trip instead of a hundred.
An answer is never older than its question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")


class Gathering(Generic[Q, A]):
    """Asks by ``answers``: it takes different questions and returns those with an answer."""

    def __init__(self, answers: Callable[[Sequence[Q]], Awaitable[Mapping[Q, A]]]) -> None:
        self._answers = answers
        self._asked: dict[Q, asyncio.Future[A | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A | None:
        """Return the answer, or None where there is none; raises what ``answers`` raises."""
        future = self._asked.get(question)
        if future is None:
            future = self._asked[question] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
        # Others may wait for the same answer when a request is given up.
        return await asyncio.shield(future)

    async def _ask(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                await self._answer(asked)
        finally:
            self._asking = None

    async def _answer(self, asked: Mapping[Q, asyncio.Future[A | None]]) -> None:
        try:
            found = await self._answers(list(asked))
        except Exception as error:  # noqa: BLE001 - theirs who asked
            for future in asked.values():
                future.set_exception(error)
                # Whoever asked may be gone.
                future.exception()
        except BaseException:
            for future in asked.values():
                future.cancel()
            raise
        else:
            for question, future in asked.items():
                future.set_result(found.get(question))
