"""Every event and every command has its place in each list; nothing is forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import pytest

from commands.router import AGGREGATES, ROUTER
from events.base import Command, Event
from events.registry import EVENT_TYPES
from events.sessions import SessionRefreshed
from events.videos import TranscodeFailed, UploadRequested
from processors.apply_verdicts import ApplyVerdicts
from processors.moderate_comments import ModerateComments
from processors.moderate_on_upload import ModerateOnUpload
from processors.reactions import Reaction
from processors.remove_deleted_media import RemoveDeletedMedia
from processors.transcode_on_upload import TranscodeOnUpload
from projections.declaration import Projection, Store
from projections.registry import PROJECTIONS
from schemas.catalogue import DOMAINS
from schemas.publish import Contract
from tests.architecture.tree import python_files, tree

NOBODY: Any = cast("Any", None)
REACTIONS: tuple[Reaction, ...] = (
    TranscodeOnUpload(NOBODY, NOBODY, NOBODY, NOBODY).reaction(1),
    RemoveDeletedMedia(NOBODY).reaction(),
    ModerateOnUpload(NOBODY, NOBODY, NOBODY, NOBODY).reaction(),
    ModerateComments(NOBODY, NOBODY, 0.5).reaction(),
    ApplyVerdicts(NOBODY).reaction(),
)
#: Events that no reader handles, and why they are in the log all the same.
ONLY_IN_THE_LOG: dict[type[Event], str] = {
    SessionRefreshed: "only the session itself needs the generation of its tokens",
    UploadRequested: "a video is nobody's business before its upload is confirmed",
    TranscodeFailed: "operators look at attempts in the log; viewers see how it ends",
}
T = TypeVar("T")


def concrete(base: type[T]) -> Iterable[type[T]]:
    """Yield the subclasses of production code that have a stored name."""
    for child in base.__subclasses__():
        yield from concrete(child)
        if "name" in vars(child) and not child.__module__.startswith("tests."):
            yield child


def by_name(types: Iterable[type[Any]]) -> set[str]:
    return {each.__name__ for each in types}


def test_every_event_is_registered() -> None:
    assert by_name(concrete(Event)) == by_name(EVENT_TYPES)


def test_stored_names_are_unique() -> None:
    names = [event_type.name for event_type in EVENT_TYPES]
    assert len(names) == len(set(names))
    command_names = [command.stored_name() for a in AGGREGATES for command in a.commands]
    assert len(command_names) == len(set(command_names))


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event_type: event_type.stored_name())
def test_every_event_has_schemas_and_examples(event_type: type[Event]) -> None:
    contract = Contract()
    for version in range(1, event_type.version + 1):
        assert contract.schema_path(event_type, version).exists()
        assert contract.example_path(event_type, version).exists()


def test_every_event_belongs_to_a_domain_of_the_catalogue() -> None:
    domains = {domain.name for domain in DOMAINS} | {"outcomes"}
    assert {event_type.domain for event_type in EVENT_TYPES} == domains


def test_every_event_is_handled_or_says_why_not() -> None:
    readers: tuple[Projection | Reaction, ...] = (*PROJECTIONS, *REACTIONS)
    handled = {event_type for reader in readers for event_type in reader.events}
    assert by_name(set(EVENT_TYPES) - handled) == by_name(ONLY_IN_THE_LOG)


def test_reactions_and_projections_have_names_of_their_own() -> None:
    names = [p.name for p in PROJECTIONS] + [reaction.name for reaction in REACTIONS]
    assert len(names) == len(set(names))


def test_tables_of_a_store_have_names_of_their_own() -> None:
    tables = [
        # Keys of Redis begin with their projection's name, tables stand beside each other.
        (each.store, each.name if each.store is Store.REDIS else "", table.name)
        for each in PROJECTIONS
        for table in each.tables
    ]
    assert len(tables) == len(set(tables))


def test_every_command_is_routed() -> None:
    routed = {command for aggregate in AGGREGATES for command in aggregate.commands}
    assert by_name(concrete(Command)) == by_name(routed)
    assert set(ROUTER.command_types.values()) == routed


def test_every_event_of_a_domain_is_folded_by_one_aggregate() -> None:
    folded = [event for aggregate in AGGREGATES for event in aggregate.events]
    assert len(folded) == len(set(folded))
    assert by_name(folded) == by_name(e for e in EVENT_TYPES if e.domain != "outcomes")


def test_an_aggregate_stays_in_its_domain() -> None:
    for aggregate in AGGREGATES:
        parts = (*aggregate.commands, *aggregate.events)
        assert {part.domain for part in parts} == {aggregate.domain}, aggregate.name


def test_every_command_is_sent_by_somebody() -> None:
    """An endpoint, a processor or the command line names its class."""
    senders = [
        path
        for path in python_files("commands", "processors", "infra")
        if path.parts[-2] == "endpoints" or "commands" not in path.parts[-2]
    ]
    named = {
        node.id for path in senders for node in ast.walk(tree(path)) if isinstance(node, ast.Name)
    }
    assert not by_name(ROUTER.command_types.values()) - named
