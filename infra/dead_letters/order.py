"""Applying a record late, as if it had come in its turn.

While a record lay among the dead letters, later records of its key were applied. What adds up may
be added at any time; what replaces may not replace what came after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from events.errors import StreamHubError
from projections.declaration import (
    Append,
    Change,
    Increment,
    Key,
    Put,
    RedisCommand,
    Remove,
)
from projections.stamps import OFFSET

#: Commands of Redis that add, so that their order does not matter.
_ADDING = frozenset({"HINCRBY", "HINCRBYFLOAT", "INCRBY", "ZINCRBY"})
#: Commands of Redis that only say how long a key lives.
_LIVING = frozenset({"PEXPIREAT"})


class OutOfOrder(StreamHubError):
    """A change cannot be made late: what came after it cannot be told apart from it any more."""

    code = "OUT_OF_ORDER"


@dataclass(slots=True)
class _Since:
    """What later records did to a row."""

    removed: bool = False
    columns: set[str] = field(default_factory=set)
    touched: bool = False


def settle(late: Iterable[Change], since: Iterable[Change]) -> list[Change]:
    """Return what is left to do of ``late`` changes behind the changes ``since``.

    Applied now, they leave every row and key as if they had come before.

    Raises:
        OutOfOrder: a row was to be removed that has come back since; only a rebuild can tell.
    """
    rows, keys = _fold(since)
    settled: list[Change] = []
    for change in late:
        match change:
            case Append():
                settled.append(change)
            case RedisCommand():
                settled += _settle_command(change, keys[change.arguments[1]])
            case _:
                settled += _settle_row(change, rows[change.table, change.key])
    return settled


def _fold(
    since: Iterable[Change],
) -> tuple[dict[tuple[str, Key], _Since], dict[Any, set[str]]]:
    rows: dict[tuple[str, Key], _Since] = defaultdict(_Since)
    keys: dict[Any, set[str]] = defaultdict(set)
    for change in since:
        match change:
            case RedisCommand():
                keys[change.arguments[1]].add(str(change.arguments[0]))
            case Put():
                row = rows[change.table, change.key]
                row.columns.update(change.values.keys() - {OFFSET})
                row.touched = True
            case Increment():
                rows[change.table, change.key].touched = True
            case Remove():
                rows[change.table, change.key] = _Since(removed=True)
            case Append():
                continue
    return rows, keys


def _settle_row(change: Put | Increment | Remove, since: _Since) -> list[Change]:
    if since.removed:
        return []
    match change:
        case Put():
            kept = {n: v for n, v in change.values.items() if n not in since.columns}
            empty = since.touched and not kept.keys() - {OFFSET}
            return [] if empty else [replace(change, values=kept)]
        case Remove() if since.touched:
            raise OutOfOrder(f"a row of {change.table} was to be removed, and has changed since")
        case _:
            return [change]


def _settle_command(change: RedisCommand, since: set[str]) -> list[Change]:
    """Keep what adds unless its key was made anew since, anything else unless it was replaced."""
    name = str(change.arguments[0])
    replaced = since - _ADDING - _LIVING
    if name in _LIVING:
        return [] if since & _LIVING or replaced else [change]
    return [] if replaced else [change]
