"""Documents that list things list all of them, and nothing that is not there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import SecretStr
from typer.core import TyperArgument, TyperGroup, TyperOption

from infra.cli.main import app
from infra.settings import Settings
from infra.worker import Role
from tests.architecture.tree import ROOT, table_rows

EMPTY = "\N{EN DASH}"


def shown(default: object) -> str:
    """Return a setting's default as the document shows it."""
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    return f"`{text}`" if text and value != Path() else EMPTY


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[0]: row[1] for row in table_rows("docs/settings.md")}
    expected = {
        f"`STREAMHUB_{name.upper()}`": shown(field.default)
        for name, field in Settings.model_fields.items()
    }
    assert documented == expected


def test_every_setting_is_explained() -> None:
    silent = [row[0] for row in table_rows("docs/settings.md") if len(row[2]) < 10]
    assert not silent


def command_tree(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from command_tree(child, (*words, name))
    else:
        yield " ".join(words), command


COMMANDS = dict(command_tree(typer.main.get_command(app), ("streamhub",)))
#: Commands that print no results, with the reason.
WITHOUT_JSON = {
    "streamhub serve": "runs until it is stopped, and logs as JSON",
    "streamhub worker": "runs until it is stopped, and logs as JSON",
    "streamhub down": "has nothing to tell",
    "streamhub infra down": "has nothing to tell",
    "streamhub schemas asyncapi": "prints JSON anyway",
}


def test_every_command_is_documented() -> None:
    assert {row[0].strip("`") for row in table_rows("docs/cli.md")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented(name: str) -> None:
    [arguments] = [row[1] for row in table_rows("docs/cli.md") if row[0] == f"`{name}`"]
    told = set(re.findall(r"--[a-z-]+", arguments))
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, TyperOption) and parameter.name != "help":
            spellings = {*parameter.opts, *parameter.secondary_opts}
            assert told & spellings, f"{name} has {spellings}"
            told -= spellings
        elif isinstance(parameter, TyperArgument):
            assert (parameter.name or "").upper() in arguments
    assert not told, f"{name} has no {told}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    lines = [line.strip() for line in inspect.cleandoc(COMMANDS[name].help or "").splitlines()]
    assert lines[0].endswith(".")
    assert any(line.startswith(f"Example: {name}") for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_prints_json_or_has_a_reason(name: str) -> None:
    options = {spelling for parameter in COMMANDS[name].params for spelling in parameter.opts}
    assert ("--json" in options) != (name in WITHOUT_JSON)


def test_commands_without_json_exist_and_are_explained_to_users() -> None:
    assert WITHOUT_JSON.keys() <= COMMANDS.keys()
    introduction = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").partition("\n| ")[0]
    for name in WITHOUT_JSON:
        assert f"`{name.removeprefix('streamhub ')}`" in introduction


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_is_explained(name: str) -> None:
    silent = [each.name for each in COMMANDS[name].params if not getattr(each, "help", None)]
    assert not silent


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_wrong_usage(name: str) -> None:
    with pytest.raises(Exception, match="No such option") as wrong:
        COMMANDS[name].make_context(name, ["--no-such-option"])
    # The class is the command line library's own affair; the exit code is ours.
    assert getattr(wrong.value, "exit_code", None) == 2


def test_every_role_of_a_worker_is_documented() -> None:
    [row] = [row for row in table_rows("docs/cli.md") if row[0] == "`streamhub worker`"]
    assert set(re.findall(r"`([a-z-]+)`", row[2])) == set(Role)
