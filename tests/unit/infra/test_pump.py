"""The pump turns often while somebody waits, seldom otherwise, and never once it is stopped."""

from __future__ import annotations

import asyncio

import pytest

from infra.kafka import pump as pump_module
from infra.kafka.pump import Pump
from tests.support.waiting import eventually


class Turns:
    """Counts turns; ``error`` is raised by each of them."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.count += 1
        if self.error is not None:
            raise self.error

    async def more(self) -> None:
        """Return when there was another turn."""
        before = self.count

        async def turned() -> bool:
            return self.count > before

        await eventually("another turn", turned, 10.0)


async def test_it_turns_as_long_as_anybody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_module, "_IDLE_S", 3_600.0)
    turns = Turns()
    pump = Pump(turns)
    with pump.awaited():
        with pump.awaited():
            await turns.more()
        await turns.more()
        assert pump.is_awaited
    await turns.more()
    after = turns.count
    await asyncio.sleep(0.05)
    assert (turns.count, pump.is_awaited) == (after, False)
    pump.stop()


async def test_it_turns_now_and_then_while_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_module, "_IDLE_S", 0.01)
    turns = Turns()
    pump = Pump(turns)
    await turns.more()
    await turns.more()
    pump.stop()
    after = turns.count
    await asyncio.sleep(0.05)
    assert turns.count == after


async def test_a_turn_that_fails_does_not_end_it() -> None:
    turns = Turns()
    turns.error = ValueError("of this turn")
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: complaints.append(str(context["exception"]))
    )
    pump = Pump(turns)
    with pump.awaited():
        await turns.more()
        await turns.more()
    pump.stop()
    assert set(complaints) == {"of this turn"}
