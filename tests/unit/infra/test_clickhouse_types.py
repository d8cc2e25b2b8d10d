"""How the columns of an insert are written: as the client writes them, but faster."""

from __future__ import annotations

from uuid import UUID

import pytest
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.insert import InsertContext

from infra.clickhouse.types import column_type

ONE = "0192aaaa-bbbb-7ccc-8ddd-0123456789ab"
TWO = "ffffffff-0000-4111-8222-fedcba987654"


def written(column: list[object], kind: str, *, by_client: bool = False) -> bytes:
    """Return the bytes of a column."""
    chosen = get_from_name(kind) if by_client else column_type(kind)
    dest = bytearray()
    context = InsertContext("t", ["c"], [chosen], [column], column_oriented=True)
    chosen.write_column(column, dest, context)
    return bytes(dest)


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("UUID", [ONE, TWO, ONE]),
        ("Nullable(UUID)", [None, ONE, None, TWO]),
        ("Nullable(UUID)", [None]),
        ("UUID", [ONE.replace("-", ""), TWO]),
        ("UUID", [UUID(ONE), UUID(TWO)]),
        ("UUID", [ONE[:-1], TWO]),
        # As long together as two in their usual form are.
        ("UUID", [ONE[:-1], TWO[:-1], ONE.replace("-", "--", 1), TWO.replace("-", "--", 1)]),
    ],
)
def test_ids_are_written_as_the_client_writes_them(kind: str, column: list[object]) -> None:
    assert written(column, kind) == written(column, kind, by_client=True)


@pytest.mark.parametrize("no_id", ["no id", TWO + "0", ONE[:-1] + "x"])
def test_what_is_no_id_is_refused(no_id: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        written([ONE, no_id], "UUID")


def test_columns_of_other_types_are_left_to_the_client() -> None:
    assert column_type("Float64") == get_from_name("Float64")
    assert column_type("UUID").insert_name == "UUID"
