"""Streams and ids in more rows than a buffer holds, hashes that meet included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.verify import identities, spill
from infra.log_tools.verify.findings import Findings
from infra.log_tools.verify.identities import Identities
from infra.log_tools.verify.spill import BUCKETS, Spill

PLACE = TopicPartition("events.videos", 0)
OTHER = TopicPartition("events.videos", 1)


class Kept:
    """The records of a log, for looking them up."""

    def __init__(self, folder: Path) -> None:
        self.records: dict[tuple[TopicPartition, int], LogRecord] = {}
        self.identities = Identities(folder)
        self._places: dict[TopicPartition, int] = {}

    def add(self, stream: str, version: int, source: TopicPartition = PLACE) -> None:
        offset = len(self.records)
        headers = {
            "ce_subject": stream.encode(),
            "stream_version": str(version).encode(),
            "ce_id": f"event-{offset}".encode(),
        }
        record = LogRecord(source, offset, "key", b"", headers, 0)
        self.records[source, offset] = record
        if source not in self._places:
            self._places[source] = self.identities.place(source)
        self.identities.add_event(self._places[source], record, stream, version)

    def check(self) -> list[str]:
        findings = Findings()
        self.identities.check(lambda source, offset: self.records.get((source, offset)), findings)
        self.identities.close()
        return [finding.message for finding in findings.kept]


def test_streams_that_rise_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "BUFFER_ROWS", 10)
    kept = Kept(tmp_path)
    for version in range(1, 8):
        for stream in range(20):
            kept.add(f"stream-{stream}", version, OTHER if stream % 2 else PLACE)
    assert kept.check() == []
    assert kept.identities.streams == 20


def test_a_gap_is_found_among_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "BUFFER_ROWS", 10)
    kept = Kept(tmp_path)
    for stream in range(50):
        kept.add(f"stream-{stream}", 1)
    kept.add("stream-17", 3)
    kept.add("stream-17", 4)
    assert kept.check() == ["stream stream-17 jumps to version 3, 2 should follow"]


def test_streams_whose_hashes_meet_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "hash_of", lambda _text: 7)
    kept = Kept(tmp_path)
    for version in (1, 2):
        kept.add("one", version)
        kept.add("two", version)
    kept.add("two", 4)
    assert kept.check() == ["stream two jumps to version 4, 3 should follow"]


def test_ids_whose_hashes_meet_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "hash_of", lambda _text: 7)
    kept = Kept(tmp_path)
    for number in range(3):
        kept.add(f"stream-{number}", 1)
        kept.identities.add_id(0, number, f"event-{number}")
    assert kept.check() == []


def test_rows_of_a_hash_stand_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "BUFFER_ROWS", 7)
    kept = Spill(tmp_path, [("hash", "<u8"), ("number", "<u8")])
    hashes = [number * (2**64 // BUCKETS) % 2**64 + number // BUCKETS for number in range(200)]
    for number, each in enumerate(hashes):
        kept.add(each, number)
        kept.add(each, number + 1000)
    buckets = list(kept.buckets())
    assert len(buckets) == BUCKETS
    assert sum(map(len, buckets)) == kept.rows == 400
    assert kept.bytes == 400 * 16
    owners = [set(np.unique(rows["hash"])) for rows in buckets]
    assert sum(map(len, owners)) == len(set(hashes))
    assert list(tmp_path.iterdir()) == []
    kept.close()
