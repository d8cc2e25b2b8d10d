"""What a former revision promised still holds, even where events and schemas changed together."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.schema_history import RevisionUnreadable, check_against

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"clip_id": {"type": "string"}},
    "required": ["clip_id"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout whose first revision has published one schema."""
    folder = tmp_path / "schemas"
    (folder / "clips").mkdir(parents=True)
    put(folder, SCHEMA)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    git(tmp_path, *who, "commit", "--quiet", "--message", "first")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def put(folder: Path, schema: dict[str, Any]) -> None:
    (folder / "clips" / "clip.cut.v1.schema.json").write_bytes(orjson.dumps(schema))


def test_what_was_promised_and_only_grew_holds(folder: Path) -> None:
    assert check_against("HEAD", folder) == []
    grown = {**SCHEMA["properties"], "note": {"type": "string"}}
    put(folder, {**SCHEMA, "properties": grown})
    assert check_against("HEAD", folder) == []


def test_a_promise_that_was_changed_is_told(folder: Path) -> None:
    put(folder, {**SCHEMA, "properties": {}, "required": []})
    [problem] = check_against("HEAD", folder)
    assert problem.startswith("clip.cut.v1: clip_id: was removed")


def test_a_promise_that_is_gone_is_told(folder: Path) -> None:
    (folder / "clips" / "clip.cut.v1.schema.json").unlink()
    [problem] = check_against("HEAD", folder)
    assert "is gone" in problem


def test_a_revision_that_nobody_knows_is_an_error(folder: Path) -> None:
    with pytest.raises(RevisionUnreadable):
        check_against("nowhere", folder)
