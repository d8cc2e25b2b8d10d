"""Folding the changes of a batch: one change a row, so that sinks write sets, not sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from projections.declaration import Change, Increment, Key, Put, RedisCommand, Remove


@dataclass(slots=True)
class RowChange:
    """What a batch does to a row: first remove it (if so), then put, then add."""

    removed: bool = False
    put: dict[str, Any] = field(default_factory=dict)
    add: dict[str, float] = field(default_factory=dict)


def fold_rows(changes: Iterable[Change]) -> dict[str, dict[Key, RowChange]]:
    """Return table -> key -> what the changes come to, in their order."""
    rows: dict[str, dict[Key, RowChange]] = defaultdict(dict)
    for change in changes:
        match change:
            case Increment():
                add = _row(rows[change.table], change.key).add
                for column, amount in change.amounts.items():
                    add[column] = add.get(column, 0) + amount
            case Put():
                _row(rows[change.table], change.key).put.update(change.values)
            case Remove():
                rows[change.table][change.key] = RowChange(removed=True)
            case _:
                raise TypeError(f"{type(change).__name__} is not a change of a row")
    return rows


def _row(table: dict[Key, RowChange], key: Key) -> RowChange:
    row = table.get(key)
    if row is None:
        row = table[key] = RowChange()
    return row


#: Commands that add to a counter, and where the amount stands among their arguments.
_AMOUNT_AT: Mapping[object, int] = {"HINCRBY": 3, "HINCRBYFLOAT": 3, "INCRBY": 2, "ZINCRBY": 2}


def fold_commands(changes: Iterable[Change]) -> list[list[str]]:
    """Return the commands with increments of one counter summed up, in order of first mention.

    Summing is safe only while nothing else touches the counter's key in between; then the sum
    starts anew.
    """
    commands: list[list[Any]] = []
    #: By what an increment says besides its amount.
    open_sums: dict[tuple[Any, ...], list[Any]] = {}
    for change in changes:
        if not isinstance(change, RedisCommand):
            raise TypeError(f"{type(change).__name__} is not a command of Redis")
        arguments = change.arguments
        at = _AMOUNT_AT.get(arguments[0])
        if at is None:
            open_sums = {k: v for k, v in open_sums.items() if k[1] != arguments[1]}
            commands.append(list(arguments))
            continue
        counter = arguments[:at] + arguments[at + 1 :]
        total = open_sums.get(counter)
        if total is not None:
            total[at] += arguments[at]
        else:
            open_sums[counter] = total = list(arguments)
            commands.append(total)
    return [[str(argument) for argument in command] for command in commands]
