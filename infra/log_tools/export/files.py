"""The files of an export: ``type=<event>/day=<date>/<bookmark>.<topic>-<partition>-<from>-<to>``.

A file holds rows of one partition, from its first offset to its last. Files are made under a name
that readers pass over, and appear whole. The bookmark moves after them, so it tells which files
count: what begins at or behind it was left by an export that did not come to its end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from events.base import TopicPartition
from infra.log_tools.bookmarks import Bookmark, sync_folder
from infra.log_tools.errors import BadBookmark
from infra.log_tools.export.formats import ExportFormat
from infra.log_tools.export.rows import Row
from infra.log_tools.export.tables import arrow, write_arrow, write_parquet

BOOKMARKS = "_bookmarks"
_DRAFT = ".part"
_NAME = re.compile(
    r"(?P<topic>[A-Za-z0-9._-]+)-(?P<partition>\d+)-(?P<first>\d+)-(?P<last>\d+)\.[a-z.]+"
)


def _write_jsonl(_type_name: str, rows: Sequence[Any], path: Path) -> None:
    option = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
    path.write_bytes(b"".join(orjson.dumps(row, option=option) for row in rows))


_WRITERS: Mapping[ExportFormat, Callable[[str, Sequence[Any], Path], None]] = {
    ExportFormat.PARQUET: write_parquet,
    ExportFormat.JSONL: _write_jsonl,
    ExportFormat.ARROW: write_arrow,
}


class ExportFolder:
    """The files of one bookmark in a folder; bookmarks of other names keep their own."""

    def __init__(self, folder: Path, name: str, form: ExportFormat) -> None:
        self.folder = folder
        self._name = name
        self._form = form
        if form is not ExportFormat.JSONL:
            arrow()

    @property
    def bookmark_path(self) -> Path:
        """Where the bookmark is kept."""
        return self.folder / BOOKMARKS / f"{self._name}.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other exports of this bookmark out; the lock ends with the process at the latest.

        Raises:
            BadBookmark: another export has it.
        """
        path = self.bookmark_path.with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadBookmark(f"another export uses {self.bookmark_path}") from None
            yield

    def remove_leftovers(self, bookmark: Bookmark) -> int:
        """Remove files that the bookmark does not cover; return how many."""
        leftovers = [
            path
            for path, source, first in self._files()
            if path.name.endswith(_DRAFT) or first >= bookmark.positions.get(source, 0)
        ]
        for path in leftovers:
            path.unlink()
        return len(leftovers)

    def _files(self) -> Iterator[tuple[Path, TopicPartition, int]]:
        for path in self.folder.glob(f"type=*/day=*/{self._name}.*"):
            found = _NAME.fullmatch(path.name.removeprefix(f"{self._name}."))
            if found:
                source = TopicPartition(found["topic"], int(found["partition"]))
                yield path, source, int(found["first"])

    def write(self, source: TopicPartition, rows: Sequence[Row]) -> int:
        """Write the rows of a part of a partition, a file for each type and day; return how many.

        When this returns the files are safe from a power cut.
        """
        groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for row in rows:
            groups.setdefault((row.type, row.day), []).append(row.values)
        for (type_name, day), values in groups.items():
            self._write(source, type_name, day, values)
        return len(groups)

    def _write(
        self, source: TopicPartition, type_name: str, day: str, values: Sequence[Mapping[str, Any]]
    ) -> None:
        folder = self.folder / f"type={type_name}" / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        first, last = values[0]["meta_offset"], values[-1]["meta_offset"]
        name = f"{self._name}.{source.topic}-{source.partition}-{first:020}-{last:020}"
        path = folder / f"{name}.{self._form}"
        draft = folder / f"{path.name}{_DRAFT}"
        _WRITERS[self._form](type_name, values, draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(folder)
