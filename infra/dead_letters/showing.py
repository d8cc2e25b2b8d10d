"""How operators name dead letters, and what they are shown of them, whatever they sit at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from events import clock
from events.deadletters import DeadLetter, LetterState
from events.errors import Invalid
from infra.dead_letters.topic import Filters
from infra.log_tools.errors import BadSelection
from infra.log_tools.selection import moment

#: The state that stands for every state.
ALL = "all"


def filters_of(said: Mapping[str, str]) -> Filters:
    """Return the filters that texts name: the fields of ``Filters``, each of which may be missing.

    Raises:
        Invalid: a state or a time is none.
    """
    texts = {name: said.get(name, "") for name in ("reader", "topic", "type", "key", "error")}
    state = said.get("state") or LetterState.OPEN
    return Filters(**texts, since=_since(said.get("since", "")), state=_state(state))


def _state(text: str) -> LetterState | None:
    if text == ALL:
        return None
    try:
        return LetterState(text)
    except ValueError:
        message = f"'{text}' is not one of {', '.join(LetterState)}, {ALL}"
        raise Invalid.field("state", message) from None


def _since(text: str) -> datetime | None:
    try:
        return moment(text) if text else None
    except BadSelection as error:
        raise Invalid.field("since", error.message) from None


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
        "parked": sorted(letter.parked),
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
