"""What the changes of a batch come to."""

from __future__ import annotations

import pytest

from projections.declaration import Append, Increment, Put, RedisCommand, Remove
from projections.folding import RowChange, fold_commands, fold_rows


def test_later_values_win_and_amounts_add_up() -> None:
    rows = fold_rows(
        [
            Put("videos", (1,), {"title": "a", "status": "processing"}),
            Increment("videos", (1,), {"likes": 1}),
            Put("videos", (1,), {"status": "ready"}),
            Increment("videos", (1,), {"likes": 2, "views": 1}),
            Increment("videos", (2,), {"views": -1}),
        ]
    )
    assert rows == {
        "videos": {
            (1,): RowChange(put={"title": "a", "status": "ready"}, add={"likes": 3, "views": 1}),
            (2,): RowChange(add={"views": -1}),
        }
    }


def test_what_comes_after_a_removal_starts_from_nothing() -> None:
    rows = fold_rows(
        [
            Put("likes", (1,), {"at": 1}),
            Increment("likes", (1,), {"count": 5}),
            Remove("likes", (1,)),
            Put("likes", (1,), {"at": 2}),
            Remove("likes", (2,)),
        ]
    )
    assert rows == {
        "likes": {(1,): RowChange(removed=True, put={"at": 2}), (2,): RowChange(removed=True)}
    }


def test_rows_of_the_same_key_in_two_tables_are_two_rows() -> None:
    rows = fold_rows([Put("a", (1,), {"x": 1}), Put("b", (1,), {"x": 2})])
    assert rows["a"][1,].put == {"x": 1}
    assert rows["b"][1,].put == {"x": 2}


@pytest.mark.parametrize("change", [Append("t", {}), RedisCommand(("DEL", "x"))])
def test_only_changes_of_rows_fold_into_rows(change: Append | RedisCommand) -> None:
    with pytest.raises(TypeError):
        fold_rows([change])


def commands(*arguments: tuple[str | int | float, ...]) -> list[list[str]]:
    return fold_commands(RedisCommand(each) for each in arguments)


def test_increments_of_one_counter_are_summed_up() -> None:
    assert commands(
        ("HINCRBY", "a", "likes", 1),
        ("HINCRBY", "b", "likes", 1),
        ("HINCRBY", "a", "likes", 2),
        ("HINCRBY", "a", "views", 1),
        ("ZINCRBY", "z", 2, "x"),
        ("ZINCRBY", "z", 3, "x"),
        ("ZINCRBY", "z", 1, "y"),
        ("INCRBY", "n", 1),
        ("INCRBY", "n", -4),
    ) == [
        ["HINCRBY", "a", "likes", "3"],
        ["HINCRBY", "b", "likes", "1"],
        ["HINCRBY", "a", "views", "1"],
        ["ZINCRBY", "z", "5", "x"],
        ["ZINCRBY", "z", "1", "y"],
        ["INCRBY", "n", "-3"],
    ]


def test_what_touches_the_key_in_between_ends_the_sum() -> None:
    assert commands(
        ("HINCRBY", "a", "likes", 1),
        ("HINCRBY", "b", "likes", 1),
        ("DEL", "a"),
        ("HINCRBY", "a", "likes", 1),
        ("HINCRBY", "b", "likes", 1),
        ("HINCRBY", "a", "likes", 1),
    ) == [
        ["HINCRBY", "a", "likes", "1"],
        ["HINCRBY", "b", "likes", "2"],
        ["DEL", "a"],
        ["HINCRBY", "a", "likes", "2"],
    ]


def test_the_commands_that_came_in_are_left_as_they_were() -> None:
    first = RedisCommand(("INCRBY", "n", 1))
    fold_commands([first, RedisCommand(("INCRBY", "n", 1))])
    assert first.arguments == ("INCRBY", "n", 1)


def test_only_commands_fold_into_commands() -> None:
    with pytest.raises(TypeError):
        fold_commands([Remove("t", (1,))])
