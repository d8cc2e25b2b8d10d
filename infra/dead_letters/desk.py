"""What operators do with dead letters, whatever they sit at: choose, show, retry, discard."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from events import clock
from events.deadletters import DeadLetter, LetterState
from events.errors import Invalid, StreamHubError
from infra.bootstrap.core import open_core
from infra.dead_letters.retry import Retry
from infra.dead_letters.topic import Filters, LetterTopic, read_letters
from infra.settings import Settings

#: The state that stands for every state.
ALL = "all"
_AGO = re.compile(r"^(\d{1,9})([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Choice = Callable[[LetterTopic], Sequence[DeadLetter]]


def filters_of(said: Mapping[str, str]) -> Filters:
    """Return the filters that texts name: the fields of ``Filters``, each of which may be missing.

    Raises:
        Invalid: a state or a time is none.
    """
    texts = {name: said.get(name, "") for name in ("reader", "topic", "type", "key", "error")}
    state = said.get("state") or LetterState.OPEN
    return Filters(**texts, since=_moment(said.get("since", "")), state=_state(state))


def _state(text: str) -> LetterState | None:
    if text == ALL:
        return None
    try:
        return LetterState(text)
    except ValueError:
        message = f"'{text}' is not one of {', '.join(LetterState)}, {ALL}"
        raise Invalid.field("state", message) from None


def _moment(text: str) -> datetime | None:
    """Return the moment that a text names, or that is so long ago."""
    if not text:
        return None
    ago = _AGO.match(text)
    try:
        if ago:
            return clock.now() - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
        moment = clock.from_text(text)
    except (ValueError, OverflowError):
        raise Invalid.field("since", f"'{text}' is neither a time nor 30m, 2h, 7d") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def retry(settings: Settings, choose: Choice) -> list[dict[str, Any]]:
    """Apply letters again, each once, oldest first; return what became of each."""
    async with open_core(settings) as core:
        desk = await read_letters(core.places.kafka)
        work = Retry(core, desk)

        async def apply(letter: DeadLetter) -> str:
            readers = await work.apply(letter)
            told = ", ".join(f"{reader}: {result}" for reader, result in readers.items())
            await desk.decide(letter, LetterState.RETRIED, told)
            return told

        return [await _one(letter, apply) for letter in choose(desk)]


async def discard(bootstrap: str, choose: Choice, because: str) -> list[dict[str, Any]]:
    """Decide that letters are never applied; return what became of each."""
    desk = await read_letters(bootstrap)

    async def put_away(letter: DeadLetter) -> str:
        await desk.decide(letter, LetterState.DISCARDED, because)
        return because

    return [await _one(letter, put_away) for letter in choose(desk)]


async def _one(
    letter: DeadLetter, decide: Callable[[DeadLetter], Coroutine[Any, Any, str]]
) -> dict[str, Any]:
    """Decide about one letter; what goes wrong with it does not keep the others waiting."""
    result: dict[str, Any] = {"letter": letter.id, "state": letter.state, "error": None}
    if letter.state is not LetterState.OPEN:
        return {**result, "error": f"it was {letter.state} already"}
    try:
        told = await decide(letter)
    except StreamHubError as error:
        return {**result, "error": f"{error.code}: {error.message}"}
    return {**result, "state": letter.state, "result": told}


def as_data(letter: DeadLetter) -> dict[str, Any]:
    """Return what a list says of a letter."""
    source = letter.record.source
    return {
        "letter": letter.id,
        "state": letter.state,
        "reader": letter.reader,
        "topic": source.topic,
        "partition": source.partition,
        "offset": letter.record.offset,
        "key": letter.record.key,
        "type": letter.type,
        "time": clock.to_text(letter.time),
        "reason": letter.reason,
        "version": letter.version,
        "repeats": letter.repeats,
        "decidedAt": clock.to_text(letter.decided_at) if letter.decided_at else None,
        "decidedBecause": letter.decided_because,
    }


def in_full(letter: DeadLetter) -> dict[str, Any]:
    """Return all that is known of a letter: the record as it is in the log, and the traceback."""
    record = letter.record
    return {
        **as_data(letter),
        "headers": {
            name: value.decode("utf-8", "replace") for name, value in record.headers.items()
        },
        "value": record.value.decode("utf-8", "replace"),
        "traceback": letter.trace,
    }
