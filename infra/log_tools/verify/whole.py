"""Reading the whole log once and proving what it promises; memory does not grow with it."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from commands.envelope import read_outcome
from events.base import Metadata, TopicPartition
from events.codec import LogRecord, decode_metadata
from events.errors import LogError
from events.outcomes import CommandDecided
from infra.log_tools.keys import NoKeys
from infra.log_tools.reader import LogReader, Span
from infra.log_tools.verify import contract
from infra.log_tools.verify.commands import Claim, Placed, blocks, join
from infra.log_tools.verify.findings import Findings
from infra.log_tools.verify.identities import Identities
from schemas.catalogue import Domain

Progress = Callable[[int, int], None]
_DIGEST_BYTES = 16


@dataclass(slots=True)
class PartitionReport:
    """What was read of a partition: offsets from ``start`` to before ``end``, records, digest.

    The digest (BLAKE2b, 16 bytes, hex) runs over offset, key, headers and body of each record in
    order: two logs that agree on it hold the same up to that end.
    """

    source: TopicPartition
    start: int
    end: int
    records: int = 0
    digest: str = ""


@dataclass(slots=True)
class LogReport:
    """What a verification of the log came to."""

    findings: Findings = field(default_factory=Findings)
    partitions: list[PartitionReport] = field(default_factory=list)
    commands_with_events: int = 0
    streams: int = 0
    blocks_with_gaps: int = 0
    disk_bytes: int = 0
    seconds: float = 0.0

    def records(self, kind: str) -> int:
        """Return how many records of ``events`` or ``outcomes`` were read."""
        return sum(p.records for p in self.partitions if p.source.topic.startswith(f"{kind}."))


def verify_log(
    bootstrap: str, domains: Sequence[Domain], scratch: Path, on_progress: Progress
) -> LogReport:
    """Read all events and outcomes of the domains and return what was found.

    ``scratch`` is a folder for files without names that go away by themselves; they take about
    62 bytes an event. ``on_progress`` hears offsets passed and their sum.

    Raises:
        Unavailable, TopicMissing, LogUnreadable: the log cannot be read.
    """
    began = time.monotonic()
    with LogReader(bootstrap) as events, LogReader(bootstrap) as outcomes:
        check = _Check(events, outcomes, Identities(scratch), on_progress)
        try:
            check.read(domains)
            check.judge()
        finally:
            check.identities.close()
    check.report.seconds = time.monotonic() - began
    return check.report


class _Check:
    def __init__(
        self, events: LogReader, outcomes: LogReader, identities: Identities, progress: Progress
    ) -> None:
        self._events = events
        self._outcomes = outcomes
        self._keys = NoKeys().ring
        self._progress = progress
        self._passed = 0
        self._whole = 0
        self.identities = identities
        self.report = LogReport()

    def read(self, domains: Sequence[Domain]) -> None:
        """Go through every partition of every domain, events and outcomes side by side.

        The end of the outcomes is asked for later than that of the events, and counts those whose
        transactions are still open: whatever decided an event below its end stands below it.
        """
        sources = self._events.partitions(domain.events for domain in domains)
        partners = [TopicPartition(_outcomes_of(s.topic), s.partition) for s in sources]
        starts = self._events.starts([*sources, *partners])
        ends = self._events.ends(sources) | self._events.ends(partners, committed=False)
        self._whole = sum(max(0, ends[source] - starts[source]) for source in starts)
        for source, partner in zip(sources, partners, strict=True):
            self._read_partition(
                source,
                Span(starts[source], ends[source]),
                partner,
                Span(starts[partner], ends[partner]),
            )

    def _read_partition(
        self, events: TopicPartition, span: Span, outcomes: TopicPartition, claimed: Span
    ) -> None:
        end = span.end or 0
        joined = join(
            events,
            outcomes,
            blocks(self._placed(self._records(self._events, events, span))),
            # Later commands are none of this reading's business: their events lie behind its end.
            (c for c in self._claims(outcomes, claimed) if c.last < end),
            self.report.findings,
        )
        self.report.commands_with_events += joined.matched
        self.report.blocks_with_gaps += joined.gaps

    def _records(
        self, reader: LogReader, source: TopicPartition, span: Span
    ) -> Iterator[tuple[int, LogRecord, Metadata]]:
        """Yield number of the partition, record and metadata; what is unreadable is a finding."""
        place = self.identities.place(source)
        report = PartitionReport(source, span.start, span.end or 0)
        self.report.partitions.append(report)
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        done = 0
        for batch in reader.batches({source: span}):
            for record in batch.records:
                digest.update(framed(record))
                known = self._inspected(record)
                if known is not None:
                    yield place, record, known
            report.records += len(batch.records)
            if batch.records:
                done = self._advance(done, batch.records[-1].offset + 1 - span.start)
        self._advance(done, report.end - span.start)
        report.digest = digest.hexdigest()

    def _advance(self, done: int, now: int) -> int:
        self._passed += max(0, now - done)
        self._progress(self._passed, self._whole)
        return max(done, now)

    def _inspected(self, record: LogRecord) -> Metadata | None:
        """Return the metadata of a record, and note how it breaks the contract."""
        findings = self.report.findings
        try:
            known = decode_metadata(record.headers)
        except LogError as error:
            findings.add("schema", record.source, record.offset, error.message)
            return None
        problem = contract.problem(record, known.stored_name, self._keys)
        if problem is not None:
            findings.add("schema", record.source, record.offset, problem)
        return known

    def _placed(self, records: Iterable[tuple[int, LogRecord, Metadata]]) -> Iterator[Placed]:
        for place, record, known in records:
            self.identities.add_event(place, record, known.stream, known.stream_version)
            self.identities.add_id(place, record.offset, known.event_id)
            yield Placed(known.command_id, record.offset, known.stream_version)

    def _claims(self, source: TopicPartition, span: Span) -> Iterator[Claim]:
        """Yield the outcomes that claim events."""
        for place, record, known in self._records(self._outcomes, source, span):
            self.identities.add_id(place, record.offset, known.command_id)
            try:
                outcome = read_outcome(record.value)
            except LogError:
                # The contract has noted it, and its events will be found without an outcome.
                continue
            wrong = _misplaced(source, known, outcome)
            if wrong:
                self.report.findings.add("W3", source, record.offset, wrong)
            if outcome.event_count:
                yield Claim(
                    outcome.command_id,
                    outcome.position.offset,
                    outcome.event_count,
                    outcome.stream_version,
                    record.offset,
                    outcome.refusal is not None,
                )

    def judge(self) -> None:
        """Look at what only the whole log shows."""
        report = self.report
        self.identities.check(self._fetch, report.findings)
        report.streams = self.identities.streams
        report.disk_bytes = self.identities.disk_bytes

    def _fetch(self, source: TopicPartition, offset: int) -> LogRecord | None:
        for batch in self._events.batches({source: Span(offset, offset + 1)}):
            for record in batch.records:
                return record
        return None


def _outcomes_of(topic: str) -> str:
    return f"outcomes.{topic.partition('.')[2]}"


def _misplaced(source: TopicPartition, known: Metadata, outcome: CommandDecided) -> str | None:
    """Return how an outcome contradicts the place where it stands."""
    position = outcome.position
    if (f"outcomes.{position.domain}", position.partition) != (source.topic, source.partition):
        return f"command {known.command_id} claims events in another place: {position}"
    if outcome.command_id != known.command_id:
        return f"the header names command {known.command_id}, the body {outcome.command_id}"
    return None


def framed(record: LogRecord) -> bytes:
    """Return a record's bytes after the lengths of its parts, so that no two records look alike."""
    values = list(record.headers.values())
    parts = [record.key.encode(), "\0".join(record.headers).encode(), record.value, *values]
    lengths = struct.pack(f">QI{len(parts)}I", record.offset, len(parts), *map(len, parts))
    return b"".join((lengths, *parts))
