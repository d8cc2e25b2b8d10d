"""Names of a contract in which events were renamed and split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from events.base import Event
from events.upcasting import Renamed, Split
from infra.log_tools.errors import BadSelection
from infra.log_tools.names import Names
from schemas.publish import Contract


class Opened(Event):
    name = "channel.opened"
    domain = "channels"
    version = 2


class Described(Event):
    name = "channel.described"
    domain = "channels"


class Watched(Event):
    name = "channel.watched"
    domain = "watching"


def parts(body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [("channel.opened.v2", body), ("channel.described.v1", body)]


NAMES = Names(
    Contract(
        Path("nowhere"),
        (Opened, Described, Watched),
        {
            "channel.opened.v1": lambda body: body,
            "channel.renamed.v1": Renamed("channel.described.v1"),
            "channel.created.v1": Split(("channel.opened.v2", "channel.described.v1"), parts),
        },
    )
)


@pytest.mark.parametrize(
    ("text", "stored_names"),
    [
        ("channel.watched", {"channel.watched.v1"}),
        ("channel.opened", {"channel.opened.v1", "channel.opened.v2", "channel.created.v1"}),
        ("channel.opened.v1", {"channel.opened.v1"}),
        ("channel.described", {"channel.described.v1", "channel.renamed.v1", "channel.created.v1"}),
        ("channel.renamed", {"channel.renamed.v1"}),
        ("channel.created.v1", {"channel.created.v1"}),
    ],
)
def test_a_name_means_every_record_that_may_hold_the_event(
    text: str, stored_names: set[str]
) -> None:
    assert NAMES.meant_by(text) == stored_names


@pytest.mark.parametrize("text", ["channel.watched.v2", "channel.opened.v3", "channel", ""])
def test_what_never_was_means_nothing(text: str) -> None:
    with pytest.raises(BadSelection):
        NAMES.meant_by(text)


def test_former_names_have_a_domain_and_a_schema() -> None:
    assert NAMES.homes["channel.created.v1"] == NAMES.homes["channel.renamed.v1"] == "channels"
    schema = NAMES.schema_path("channel.renamed.v1")
    assert schema == Path("nowhere/channels/channel.renamed.v1.schema.json")
