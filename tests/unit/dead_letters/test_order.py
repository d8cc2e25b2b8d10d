"""A record that is applied late leaves what it would have left in its turn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.dead_letters.order import OutOfOrder, settle
from projections.declaration import Append, Change, Increment, Put, RedisCommand, Remove
from projections.folding import fold_rows
from projections.stamps import OFFSET

ROW = ("a",)


def rows_after(*changes: Change) -> dict[Any, dict[str, Any]]:
    """Return the rows that changes leave behind, one after another."""
    rows: dict[Any, dict[str, Any]] = {}
    for change in changes:
        for table, changed in fold_rows([change]).items():
            for key, row in changed.items():
                if row.removed:
                    rows.pop((table, key), None)
                if row.put or row.add:
                    kept = rows.setdefault((table, key), {})
                    kept.update(row.put)
                    for column, amount in row.add.items():
                        kept[column] = kept.get(column, 0) + amount
    return rows


COLUMNS = st.sampled_from(["title", "status"])
CHANGES = st.one_of(
    st.builds(
        lambda key, values: Put("t", (key,), values),
        st.sampled_from("ab"),
        st.dictionaries(COLUMNS, st.integers(0, 9), min_size=1),
    ),
    st.builds(
        lambda key, amount: Increment("t", (key,), {"count": amount}),
        st.sampled_from("ab"),
        st.integers(1, 3),
    ),
    st.builds(lambda key: Remove("t", (key,)), st.sampled_from("ab")),
)


@given(late=CHANGES, since=st.lists(CHANGES, max_size=6))
def test_late_is_the_same_as_in_turn(late: Change, since: list[Change]) -> None:
    try:
        settled = settle([late], since)
    except OutOfOrder:
        assert isinstance(late, Remove)
        return
    assert rows_after(*since, *settled) == rows_after(late, *since)


def test_what_was_replaced_since_is_left_alone() -> None:
    late = Put("comments", ROW, {"text": "old", "user_id": "ada", OFFSET: 3})
    newer = Put("comments", ROW, {"text": "new", OFFSET: 9})
    assert settle([late], [newer]) == [Put("comments", ROW, {"user_id": "ada", OFFSET: 3})]
    assert settle([late], [Put("comments", ("b",), {"text": "new"})]) == [late]
    assert settle([Put("comments", ROW, {"text": "old", OFFSET: 3})], [newer]) == []


def test_a_row_that_is_gone_does_not_come_back() -> None:
    late: list[Change] = [Put("likes", ROW, {"created_at": 1}), Increment("likes", ROW, {"n": 1})]
    assert settle(late, [Remove("likes", ROW)]) == []


def test_a_removal_that_came_too_late_is_not_guessed_at() -> None:
    with pytest.raises(OutOfOrder):
        settle([Remove("likes", ROW)], [Put("likes", ROW, {"created_at": 2})])


def test_facts_and_sums_are_kept() -> None:
    fact = Append("views", {"video_id": "v", OFFSET: 3})
    adding = RedisCommand(("HINCRBY", "counters:v", "views", 1))
    assert settle([fact, adding], [fact, adding]) == [fact, adding]


def test_a_key_that_was_made_anew_or_dropped_keeps_what_it_has() -> None:
    made = [
        RedisCommand(("HSET", "session:s", "userId", "ada")),
        RedisCommand(("PEXPIREAT", "session:s", 5)),
    ]
    dropped = RedisCommand(("DEL", "session:s"))
    assert settle(made, [dropped]) == []
    assert settle(made, [RedisCommand(("DEL", "session:other"))]) == made
    late = [RedisCommand(("ZINCRBY", "hours:0", 1, "v")), RedisCommand(("PEXPIREAT", "hours:0", 5))]
    assert settle(late, late) == late[:1]
