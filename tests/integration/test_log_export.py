"""Exports of logs written for that purpose: kills, broken records, readers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import chdb
import duckdb
import pyarrow.feather
import pytest

from infra.log_tools.errors import BadBookmark
from infra.log_tools.export.files import ExportFolder
from infra.log_tools.export.formats import ExportFormat
from infra.log_tools.export.run import ExportJob, ExportReport, export
from infra.log_tools.keys import NoKeys
from infra.log_tools.reader import LogReader
from infra.log_tools.selection import Selection
from tests.conftest import Servers
from tests.integration.log_writer import OwnLog, at

DAY_S = 86_400
#: Ends itself the hard way when the bookmark is saved for the ``sys.argv[4]``-th time, before or
#: after the file is there.
KILLED = """
import os, signal, sys
from pathlib import Path
from infra.log_tools import bookmarks
from infra.log_tools.export.formats import ExportFormat
from infra.log_tools.export.run import ExportJob, export
from infra.log_tools.keys import NoKeys
from infra.log_tools.reader import LogReader, BATCH_RECORDS
from infra.log_tools.selection import Selection
import infra.log_tools.reader

bootstrap, topic, folder, fatal, when = sys.argv[1:]
# So that a part is a record or two: without it all would be one part.
infra.log_tools.reader.BATCH_RECORDS = 1
save, saved = bookmarks.Bookmark.save, 0

def dying(self):
    global saved
    saved += 1
    if saved == int(fatal) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    save(self)
    if saved == int(fatal):
        os.kill(os.getpid(), signal.SIGKILL)

bookmarks.Bookmark.save = dying
job = ExportJob(Path(folder), ExportFormat.JSONL, Selection((topic,)), step_rows=1)
with LogReader(bootstrap) as reader:
    export(reader, job, NoKeys(), lambda passed, whole: None)
"""


@pytest.fixture
def own_log(servers: Servers) -> Iterator[OwnLog]:
    log = OwnLog(servers["kafka"], 2)
    yield log
    log.remove()


def run(log: OwnLog, folder: Path, form: ExportFormat, **options: Any) -> ExportReport:
    job = ExportJob(folder, form, Selection((log.domain.events,)), **options)
    with LogReader(log.bootstrap) as reader:
        return export(reader, job, NoKeys(), lambda _passed, _whole: None)


def exported(folder: Path) -> list[str]:
    """Return the ids of all events in the JSON files, those that stand twice twice."""
    lines = [
        line for path in sorted(folder.rglob("*.jsonl")) for line in path.read_text().splitlines()
    ]
    return [json.loads(line)["meta_event_id"] for line in lines]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_export_neither_loses_nor_repeats(
    own_log: OwnLog, tmp_path: Path, when: str
) -> None:
    written = [own_log.like(seconds, seconds % 2) for seconds in range(4)]
    for fatal in count(1):
        words = [own_log.bootstrap, own_log.domain.events, str(tmp_path), str(fatal), when]
        done = subprocess.run([sys.executable, "-c", KILLED, *words], check=False)
        # What comes in between makes the last part longer than the one that was interrupted.
        written.append(own_log.like(10 + fatal, fatal % 2))
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert fatal > 2
    run(own_log, tmp_path, ExportFormat.JSONL)
    assert sorted(exported(tmp_path)) == sorted(written)


def test_days_and_types_are_folders(own_log: OwnLog, tmp_path: Path) -> None:
    for seconds in (0, DAY_S, DAY_S + 1):
        own_log.like(seconds)
    report = run(own_log, tmp_path, ExportFormat.PARQUET)
    assert (report.rows, report.files) == (3, 2)
    days = [path.name for path in sorted((tmp_path / "type=video.liked").iterdir())]
    assert days == ["day=2026-03-01", "day=2026-03-02"]


def test_all_formats_hold_the_same(own_log: OwnLog, tmp_path: Path) -> None:
    written = [own_log.like(seconds) for seconds in range(3)]
    for form in ExportFormat:
        run(own_log, tmp_path / form, form)
    query = "SELECT meta_event_id, meta_time, video_id FROM {} ORDER BY meta_offset"
    with duckdb.connect() as base:
        parquet = base.execute(
            query.format("read_parquet(?)"), [f"{tmp_path}/parquet/*/*/*.parquet"]
        ).fetchall()
        lines = base.execute(
            query.format("read_json(?)"), [f"{tmp_path}/jsonl/*/*/*.jsonl"]
        ).fetchall()
    [path] = (tmp_path / "arrow").glob("*/*/*.arrow")
    table = pyarrow.feather.read_table(path)
    assert [row[0] for row in parquet] == written
    assert table["meta_event_id"].to_pylist() == [str(row[0]) for row in lines] == written
    assert table["video_id"].to_pylist() == [str(row[2]) for row in lines]
    assert [row[1] for row in parquet] == [at(seconds) for seconds in range(3)]


def test_chdb_reads_an_export(own_log: OwnLog, tmp_path: Path) -> None:
    for seconds in range(3):
        own_log.like(seconds)
    run(own_log, tmp_path, ExportFormat.PARQUET)
    found = chdb.query(  # type: ignore[no-untyped-call]
        f"SELECT count(), uniqExact(meta_event_id) FROM file('{tmp_path}/*/*/*.parquet', Parquet)"
    )
    assert str(found).strip() == "3,3"


def test_what_cannot_be_decoded_is_exported_too(own_log: OwnLog, tmp_path: Path) -> None:
    own_log.like(1)
    with own_log.transaction():
        own_log.append(b"nonsense", [("ce_type", b"video.liked.v1")], moment=at(2))
    run(own_log, tmp_path, ExportFormat.PARQUET)
    with duckdb.connect() as base:
        rows = base.execute(
            "SELECT reason, body FROM read_parquet(?)",
            [f"{tmp_path}/type=undecodable/day=2026-03-01/*.parquet"],
        ).fetchall()
    [(reason, body)] = rows
    assert reason.startswith("UNDECODABLE_RECORD")
    assert body == "nonsense"


def test_two_exports_do_not_share_a_bookmark(own_log: OwnLog, tmp_path: Path) -> None:
    with (
        ExportFolder(tmp_path, "export", ExportFormat.JSONL).locked(),
        pytest.raises(BadBookmark, match="another export"),
    ):
        run(own_log, tmp_path, ExportFormat.JSONL)
    run(own_log, tmp_path, ExportFormat.JSONL)
    with pytest.raises(BadBookmark, match="another selection"):
        run(own_log, tmp_path, ExportFormat.PARQUET)


def test_bookmarks_of_other_names_keep_their_files(own_log: OwnLog, tmp_path: Path) -> None:
    written = own_log.like(1)
    run(own_log, tmp_path, ExportFormat.JSONL, name="one")
    run(own_log, tmp_path, ExportFormat.JSONL, name="two")
    assert exported(tmp_path) == [written, written]
