"""Texts of a person are found in whatever form a store keeps them, and only those."""

from __future__ import annotations

from typing import Any

import pytest

from infra.gdpr.needles import Needles

EMAIL = "Ada@Example.org"
NEEDLES = Needles({EMAIL: ["user.registered.email"], "ada": ["user.registered.username"]})


@pytest.mark.parametrize(
    "value",
    [
        EMAIL,
        "write to ada@example.org, please",
        '{"email": "ada@EXAMPLE.org"}',
        b'{"to": ["ada@example.org"]}',
        "\\x" + b'{"email": "ada@example.org"}'.hex(),
        {"ada@example.org": 1},
        ["nothing", {"deep": ("inside", ["ada@example.org"])}],
        '{"outer": "{\\"inner\\": \\"ada@example.org\\"}"}',
    ],
    ids=["same", "sentence", "json", "bytes", "bytea", "key", "nested", "json in json"],
)
def test_a_long_text_is_found_wherever_it_stands(value: Any) -> None:
    assert NEEDLES.in_value(value) == {"ada@example.org"}


@pytest.mark.parametrize("value", ["wada@example.org", "ada@example.orga", "Canada", 5, None, True])
def test_a_part_of_another_word_is_not_the_text(value: Any) -> None:
    assert NEEDLES.in_value(value) == set()


def test_a_short_text_counts_as_a_whole_value_only() -> None:
    assert NEEDLES.in_value({"name": " ADA "}) == {"ada"}
    assert NEEDLES.in_value({"name": "ada lovelace"}) == set()


def test_a_text_that_begins_with_another_one_is_found() -> None:
    both = Needles({"harbour at dawn": ["a"], "harbour at dawn again": ["b"]})
    assert both.in_value("harbour at dawn again") == set(both.texts())
    assert both.in_value("x harbour at dawn x") == {"harbour at dawn"}


def test_characters_that_mean_something_elsewhere_mean_themselves() -> None:
    needles = Needles({"what (really)? [yes]": ["comment.posted.text"]})
    assert needles.in_value('{"text": "What (really)? [YES]"}')


def test_nothing_to_look_for_is_found_nowhere() -> None:
    assert Needles({" ": ["x"]}).in_value(["", " ", "anything"]) == set()


def test_what_stands_before_the_first_word_belongs_to_a_text() -> None:
    needles = Needles(
        {"(harbour lights)": ["a"], "\u2605\u2605\u2605\u2605\u2605\u2605\u2605\u2605": ["b"]}
    )
    assert needles.in_value("see (Harbour lights), please") == {"(harbour lights)"}
    assert needles.in_value("see harbour lights), please") == set()
    assert (
        len(needles.in_value("rated \u2605\u2605\u2605\u2605\u2605\u2605\u2605\u2605 by all")) == 1
    )


def test_a_text_is_found_at_its_second_place_too() -> None:
    needles = Needles({"harbour lights": ["a"]})
    assert needles.in_value("harbour lightsome harbour lights")


@pytest.mark.parametrize("raw", ["to ADA@example.org", '{"name":"Ada"}', "x\\u0041", "\nada"])
def test_a_quick_look_overlooks_nothing(raw: str) -> None:
    assert NEEDLES.may_be_in(raw)


def test_a_quick_look_spares_what_holds_no_first_word() -> None:
    assert not NEEDLES.may_be_in('{"video_id": "0199a1c2-6f10", "text": "Canada"}')
    assert Needles({"...": ["x"]}).may_be_in("anything")
