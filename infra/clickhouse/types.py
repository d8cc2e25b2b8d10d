"""How values of a column are written, where the client's own way is slow."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache
from typing import Any

from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.datatypes.special import UUID

_TEXT_LENGTH, _DIGITS = 36, 32
_DASHES_AT = (8, 13, 18, 23)
_ZERO = "00000000-0000-0000-0000-000000000000"


@cache
def column_type(name: str) -> ClickHouseType:
    """Return what writes columns of a type."""
    known = get_from_name(name)
    return _UuidText(known.type_def) if isinstance(known, UUID) else known


class _UuidText(UUID, registered=False):
    """Ids in their text form, a column at a time: one by one they took as long as validation."""

    def _write_column_binary(self, column: Sequence[Any], dest: bytearray, ctx: Any) -> None:
        try:
            dest += _uuids(column)
        except (TypeError, ValueError):
            # The client's own way takes other forms too, or says what is wrong.
            super()._write_column_binary(column, dest, ctx)


def _uuids(column: Sequence[str | None]) -> bytes:
    """Return ids as ClickHouse keeps them: two numbers of 64 bits, the lower bytes first.

    Raises:
        ValueError: one of them is no id in its usual form.
    """
    text = "".join(value or _ZERO for value in column)
    count = len(column)
    dashes = "-" * count
    digits = text.replace("-", "")
    if len(text) != _TEXT_LENGTH * count or len(digits) != _DIGITS * count:
        raise ValueError("an id has another length")
    if any(text[at::_TEXT_LENGTH] != dashes for at in _DASHES_AT):
        raise ValueError("an id has its dashes elsewhere")
    halves = array("Q", bytes.fromhex(digits))
    halves.byteswap()
    return halves.tobytes()
