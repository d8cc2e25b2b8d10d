"""The contract as a former revision published it: what was promised must still hold.

``schemas check`` compares the events with the published files; this compares the published files
with those of a revision, so that nobody changes both together.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson

from events.errors import StreamHubError
from schemas.compatibility import breaking_changes
from schemas.publish import FOLDER, read_file

_SUFFIX = ".schema.json"


class RevisionUnreadable(StreamHubError):
    """Git does not know the revision, or this is no checkout."""

    code = "REVISION_UNREADABLE"


def check_against(revision: str, folder: Path = FOLDER) -> list[str]:
    """Return a sentence for each promise of a revision that the published schemas break.

    Raises:
        RevisionUnreadable: git does not know it.
    """
    return list(_broken(revision, folder))


def _broken(revision: str, folder: Path) -> Iterator[str]:
    names = _git(folder, "ls-tree", "-r", "--name-only", "-z", revision, ".")
    for name in filter(None, names.decode().split("\0")):
        if not name.endswith(_SUFFIX):
            continue
        stored_name = Path(name).name.removesuffix(_SUFFIX)
        if not (folder / name).exists():
            yield f"{stored_name}: was published by {revision} and is gone, but its records are not"
            continue
        before = orjson.loads(_git(folder, "show", f"{revision}:./{name}"))
        for change in breaking_changes(before, read_file(folder / name)):
            yield f"{stored_name}: {change} (since {revision})"


def _git(folder: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise RevisionUnreadable("git is not installed") from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["git failed"]
        raise RevisionUnreadable(lines[0])
    return done.stdout
