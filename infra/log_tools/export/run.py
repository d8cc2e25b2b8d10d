"""Exporting the log in steps: files first, then the bookmark.

A step that is interrupted is done again, and what it left is removed before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from events.base import TopicPartition
from infra.log_tools.bookmarks import Bookmark, bookmark_name, open_bookmark
from infra.log_tools.export.files import ExportFolder
from infra.log_tools.export.formats import ExportFormat
from infra.log_tools.export.rows import Row, rows_of
from infra.log_tools.keys import Keys
from infra.log_tools.reader import LogReader, Span
from infra.log_tools.selection import Selection

#: Rows of one partition that are held, and written together at most.
STEP_ROWS = 100_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ExportJob:
    """What to export and where to: ``name`` is that of the bookmark.

    ``selection`` starts where the bookmark stands, or at its own start in a partition that the
    bookmark does not know.
    """

    folder: Path
    form: ExportFormat
    selection: Selection
    name: str = "export"
    decrypts: bool = False
    step_rows: int = STEP_ROWS

    def described(self) -> dict[str, Any]:
        """Return what a bookmark belongs to."""
        return {
            **self.selection.described(),
            "format": str(self.form),
            "decrypted": self.decrypts,
        }


@dataclass(slots=True)
class ExportReport:
    """What an export did."""

    rows: int = 0
    files: int = 0
    leftovers_removed: int = 0


@dataclass(frozen=True, slots=True)
class _Step:
    """A part of a partition: its rows, and the offset behind it."""

    source: TopicPartition
    rows: list[Row]
    behind: int


def export(reader: LogReader, job: ExportJob, keys: Keys, on_progress: Progress) -> ExportReport:
    """Export what was added since the bookmark; each event once, however often this is killed.

    ``on_progress`` hears offsets passed and their sum.

    Raises:
        BadBookmark: the bookmark belongs to another selection, is in use, or its name is no name.
        ExtraMissing: the format needs a package that is not installed.
        Unavailable, TopicMissing, LogUnreadable: the log cannot be read.
    """
    folder = ExportFolder(job.folder, bookmark_name(job.name), job.form)
    with folder.locked():
        return _export(reader, job, folder, keys, on_progress)


def _export(
    reader: LogReader, job: ExportJob, folder: ExportFolder, keys: Keys, on_progress: Progress
) -> ExportReport:
    bookmark = open_bookmark(folder.bookmark_path, job.described())
    spans = _spans(reader, job.selection, bookmark)
    report = ExportReport(leftovers_removed=folder.remove_leftovers(bookmark))
    bookmark.save()
    whole = sum(max(0, (span.end or 0) - span.start) for span in spans.values())
    passed = 0
    for source, span in spans.items():
        position = span.start
        for step in _steps(reader, job, source, span, keys):
            report.files += folder.write(step.source, step.rows)
            report.rows += len(step.rows)
            bookmark.positions[source] = step.behind
            bookmark.save()
            passed += step.behind - position
            position = step.behind
            on_progress(passed, whole)
    return report


def _spans(
    reader: LogReader, selection: Selection, bookmark: Bookmark
) -> dict[TopicPartition, Span]:
    """Return what is to be exported of each partition, those with nothing new left out.

    Those are in the bookmark as well, or they would begin anew, at their end or at a time, when
    they have something.
    """
    spans = reader.spans(selection.starting_at(bookmark.positions))
    for source, span in spans.items():
        bookmark.positions.setdefault(source, span.start)
    return {source: span for source, span in spans.items() if not span.is_empty}


def _steps(
    reader: LogReader, job: ExportJob, source: TopicPartition, span: Span, keys: Keys
) -> Iterator[_Step]:
    """Yield the parts of a partition; the last one ends where the span ends."""
    filters = job.selection.filters
    matches = filters.matcher()
    rows: list[Row] = []
    for batch in reader.batches({source: span}):
        chosen = [record for record in batch.records if matches(record)]
        keys.load({person for record in chosen for person in record.persons()})
        rows += [row for record in chosen for row in rows_of(record, keys, filters)]
        if len(rows) >= job.step_rows:
            yield _Step(source, rows, batch.records[-1].offset + 1)
            rows = []
    yield _Step(source, rows, span.end or 0)
