"""What must hold across the whole log: versions of streams, and ids that stand once (W4, W5).

A row is kept for each record, with hashes instead of names. Two names can have the same hash, so
what looks wrong by hashes is looked up in the log before it is called a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from events.base import TopicPartition
from events.codec import LogRecord
from infra.log_tools.verify.findings import KEPT_MAX, Findings
from infra.log_tools.verify.spill import Rows, Spill, hash_of

#: Hash of the stream; offset, version; half of the key's hash; number of the partition.
STREAM_ROW = [
    ("hash", "<u8"),
    ("offset", "<u8"),
    ("version", "<u4"),
    ("key", "<u4"),
    ("place", "<u2"),
]
#: Hash of an event's or a decided command's id; offset; number of the partition.
ID_ROW = [("hash", "<u8"), ("offset", "<u8"), ("place", "<u2")]
#: Records of one suspicious stream that are looked up at most.
LOOKED_UP_MAX = 5_000
_HALF = 0xFFFF_FFFF
_VERSION_MAX = 0xFFFF_FFFF

#: Returns the record at a place, or None when there is none.
Fetch = Callable[[TopicPartition, int], LogRecord | None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A record of a suspicious stream, as the log has it."""

    source: TopicPartition
    offset: int
    stream: str
    version: int
    key: str


class Identities:
    """Takes in streams, versions and ids, and judges them at the end."""

    def __init__(self, folder: Path) -> None:
        self._streams = Spill(folder, STREAM_ROW)
        self._ids = Spill(folder, ID_ROW)
        self._places: list[TopicPartition] = []
        self.streams = 0

    @property
    def disk_bytes(self) -> int:
        """What the rows take on disk."""
        return self._streams.bytes + self._ids.bytes

    def close(self) -> None:
        """Give the space back."""
        self._streams.close()
        self._ids.close()

    def place(self, source: TopicPartition) -> int:
        """Return the number under which rows name a partition."""
        self._places.append(source)
        return len(self._places) - 1

    def add_event(self, place: int, record: LogRecord, stream: str, version: int) -> None:
        """Take in where an event stands in its stream."""
        kept = min(max(version, 0), _VERSION_MAX)
        key = hash_of(record.key) & _HALF
        self._streams.add(hash_of(stream), record.offset, kept, key, place)

    def add_id(self, place: int, offset: int, name: str) -> None:
        """Take in an id that must stand once."""
        self._ids.add(hash_of(name), offset, place)

    def check(self, fetch: Fetch, findings: Findings) -> None:
        """Judge everything that was taken in."""
        for rows in self._streams.buckets():
            for group in self._suspicious_streams(rows):
                self._check_stream(group, fetch, findings)
        for rows in self._ids.buckets():
            for group in _repeated(rows):
                self._check_id(group, fetch, findings)

    def _suspicious_streams(self, rows: Rows) -> Iterator[Rows]:
        """Yield the rows of each hash whose versions do not count 1, 2, 3 … in one place."""
        rows = rows[np.lexsort((rows["offset"], rows["place"], rows["hash"]))]
        starts = np.flatnonzero(np.r_[True, rows["hash"][1:] != rows["hash"][:-1]])
        self.streams += len(starts)
        lengths = np.diff(np.r_[starts, len(rows)])
        firsts = np.repeat(starts, lengths)
        wrong = (
            (rows["version"] != np.arange(len(rows)) - firsts + 1)
            | (rows["place"] != rows["place"][firsts])
            | (rows["key"] != rows["key"][firsts])
        )
        for start in np.unique(firsts[wrong]):
            length = lengths[np.searchsorted(starts, start)]
            yield rows[start : start + length]

    def _check_stream(self, group: Rows, fetch: Fetch, findings: Findings) -> None:
        if findings.counted["W5"] >= KEPT_MAX:
            findings.counted["W5"] += 1
            return
        streams: dict[str, list[_Seen]] = {}
        for row in group[:LOOKED_UP_MAX]:
            source, offset = self._places[int(row["place"])], int(row["offset"])
            record = fetch(source, offset)
            if record is not None:
                seen = _seen(record)
                streams.setdefault(seen.stream, []).append(seen)
        for records in streams.values():
            _judge_stream(records, findings)

    def _check_id(self, group: Rows, fetch: Fetch, findings: Findings) -> None:
        first: dict[tuple[str, str], LogRecord] = {}
        for row in group[:LOOKED_UP_MAX]:
            record = fetch(self._places[int(row["place"])], int(row["offset"]))
            if record is None:
                continue
            known = first.setdefault(_identity(record), record)
            if known is not record:
                _note_repetition(known, record, findings)


def _seen(record: LogRecord) -> _Seen:
    text = {name: value.decode("utf-8", "replace") for name, value in record.headers.items()}
    return _Seen(
        record.source,
        record.offset,
        text["ce_subject"],
        int(text["stream_version"]),
        record.key,
    )


def _judge_stream(records: Sequence[_Seen], findings: Findings) -> None:
    """Note each step of a stream that is none from N to N + 1, and each change of place or key."""
    home, expected = records[0], 1
    for seen in records:
        if seen.source != home.source or seen.key != home.key:
            findings.add(
                "W5",
                seen.source,
                seen.offset,
                f"stream {seen.stream} also stands in {home.source.topic}-{home.source.partition} "
                f"under key {home.key}, here under {seen.key}",
            )
            return
        if seen.version != expected:
            what = "repeats or goes back to" if seen.version < expected else "jumps to"
            findings.add(
                "W5",
                seen.source,
                seen.offset,
                f"stream {seen.stream} {what} version {seen.version}, {expected} should follow",
            )
        expected = seen.version + 1


def _repeated(rows: Rows) -> Iterator[Rows]:
    """Yield the rows of each hash that stands more than once."""
    rows = rows[np.argsort(rows["hash"], kind="stable")]
    starts = np.flatnonzero(np.r_[True, rows["hash"][1:] != rows["hash"][:-1]])
    lengths = np.diff(np.r_[starts, len(rows)])
    for start, length in zip(starts[lengths > 1], lengths[lengths > 1], strict=True):
        yield rows[start : start + length]


def _identity(record: LogRecord) -> tuple[str, str]:
    """Return what kind of id a record brings, and the id."""
    if record.source.topic.startswith("outcomes."):
        return "command", record.headers["command_id"].decode("utf-8", "replace")
    return "event", record.headers["ce_id"].decode("utf-8", "replace")


def _note_repetition(first: LogRecord, again: LogRecord, findings: Findings) -> None:
    kind, name = _identity(again)
    before = f"{first.source.topic}-{first.source.partition}@{first.offset}"
    if kind == "command":
        message = f"command {name} was decided before, at {before}"
    else:
        message = f"event {name} stands before, at {before}"
    findings.add("W4", again.source, again.offset, message)
