"""The consistency token."""

from __future__ import annotations

import pytest

from events.errors import Invalid
from schemas.http.consistency import decode, encode, merge, wanted_wait

SEEN = {("videos", 0): 17, ("comments", 3): 0, ("follows", 11): -1}


def test_a_token_says_what_it_was_made_of() -> None:
    assert decode(encode(SEEN)) == SEEN
    assert decode(encode({})) == {}


def test_the_same_knowledge_is_the_same_token() -> None:
    assert encode(SEEN) == encode(dict(reversed(SEEN.items())))


def test_no_token_says_nothing() -> None:
    assert decode(None) == {}
    assert decode("") == {}


@pytest.mark.parametrize(
    "token",
    ["x", "v1", "v2.dmlkZW9zLzAvMTc", "v1.!!!", "v1.dmlkZW9zL3gvMTc", "v1.é"],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Invalid) as refusal:
        decode(token)
    assert refusal.value.details[0].field == "Consistency-Token"


def test_merging_keeps_the_later_offset_of_each_place() -> None:
    assert merge({("a", 0): 5, ("b", 0): 2}, {("a", 0): 3, ("b", 0): 9, ("c", 1): 0}) == {
        ("a", 0): 5,
        ("b", 0): 9,
        ("c", 1): 0,
    }
    assert merge({}, {("a", 0): -1}) == {("a", 0): -1}


@pytest.mark.parametrize(
    ("preferences", "seconds"),
    [
        ([], None),
        (["wait=5"], 5.0),
        (["respond-async, wait=10"], 10.0),
        (["return=minimal", 'Wait = "3"'], 3.0),
        (["wait=0; q=1"], 0.0),
        (["wait=9999"], 30.0),
        (["wait"], None),
        (["wait=soon", "handling=strict"], None),
        (["wait=-1"], None),
    ],
)
def test_a_preference_says_how_long_to_wait(preferences: list[str], seconds: float | None) -> None:
    assert wanted_wait(preferences) == seconds
