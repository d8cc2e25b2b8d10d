"""Bookmarks: how far a reader has come in each partition, kept in a file.

A bookmark belongs to one reading: it remembers what was selected, and refuses to go on for another
selection, which would leave gaps that nobody sees.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from events.base import TopicPartition
from infra.log_tools.errors import BadBookmark

_FORMAT = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(slots=True)
class Bookmark:
    """``positions`` holds the next offset to read of each partition that was touched."""

    path: Path
    selection: Mapping[str, Any]
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    def save(self) -> None:
        """Write it whole or not at all, and safe from a power cut when this returns."""
        nested: dict[str, dict[str, int]] = {}
        for source, position in sorted(self.positions.items()):
            nested.setdefault(source.topic, {})[str(source.partition)] = position
        content = {"format": _FORMAT, "selection": self.selection, "positions": nested}
        write_whole(self.path, orjson.dumps(content, option=orjson.OPT_INDENT_2))


def bookmark_name(text: str) -> str:
    """Return the text; raises ``BadBookmark`` when it cannot be the name of a file."""
    if not _NAME.fullmatch(text):
        raise BadBookmark(f"'{text}' cannot name a bookmark: a-z, 0-9, _ and - can")
    return text


def open_bookmark(path: Path, selection: Mapping[str, Any]) -> Bookmark:
    """Return the bookmark in a file, or a new one at the beginning where there is no file.

    Raises:
        BadBookmark: the file is none, or was made for another selection.
    """
    if not path.exists():
        return Bookmark(path, selection)
    try:
        content = orjson.loads(path.read_bytes())
        kept = content["selection"]
        positions = {
            TopicPartition(topic, int(number)): int(position)
            for topic, numbers in content["positions"].items()
            for number, position in numbers.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadBookmark(f"{path} is no bookmark: {error!r}") from error
    if content.get("format") != _FORMAT:
        raise BadBookmark(f"{path} was written by another release (format {content.get('format')})")
    if kept != selection:
        raise BadBookmark(
            f"{path} was made for another selection: {orjson.dumps(kept).decode()}; "
            "name another bookmark or remove it"
        )
    return Bookmark(path, selection, positions)


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe from a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
