"""A step's changes as commands of Redis, fewest first: sums of increments, one expiry a key."""

from __future__ import annotations

from collections.abc import Iterable

from projections.declaration import Change, RedisCommand
from projections.folding import fold_commands

_EXPIRY = "PEXPIREAT"
#: Commands that leave a key's expiry as it is.
_COUNTING = frozenset({"HINCRBY", "HINCRBYFLOAT", "INCRBY", "ZINCRBY"})


def commands_of(changes: Iterable[Change]) -> list[list[str]]:
    """Return the commands of a step in an order that means the same.

    An expiry follows a command that makes its key, and belongs to the key, not to a moment among
    the key's increments: it is set once, behind them.
    """
    ordered: list[Change] = []
    expiries: dict[object, Change] = {}
    for change in changes:
        if not isinstance(change, RedisCommand):
            raise TypeError(f"{type(change).__name__} is not a command of Redis")
        name = change.arguments[0]
        if name == _EXPIRY:
            expiries[change.arguments[1]] = change
            continue
        if name not in _COUNTING and change.arguments[1] in expiries:
            ordered.append(expiries.pop(change.arguments[1]))
        ordered.append(change)
    # Folded apart: what follows on sums ends them, at a cost that grows with their number.
    return [*fold_commands(ordered), *fold_commands(expiries.values())]
