"""Dead letters: the original bytes of a record that a reader could not digest, and why.

The topic of dead letters is a log of its own. A letter is open until a record behind it says that
it was retried or discarded: its header ``dead_decision`` says which, and ``dead_partition`` and
``dead_offset`` name the letter within this topic (``dead_topic``).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from events import clock
from events.base import TopicPartition
from events.codec import PERSONS_HEADER, Headers, LogRecord
from events.errors import StreamHubError, UndecodableRecord

#: Longest traceback that is kept, in characters: Kafka's default message limit is 1 MiB.
_TRACEBACK_CHARACTERS = 8_000
_REASON_CHARACTERS = 1_000
#: What every header of ours begins with; all others are the original record's.
_OURS = "dead_"
_DECISION = "dead_decision"
#: The topic in which letters lie; a decision names it as the topic of what it decides.
TOPIC = "deadletters"


class LetterState(StrEnum):
    """What became of a dead letter."""

    OPEN = "open"
    RETRIED = "retried"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Origin:
    """Which record no reader could digest: the reader and the record's place."""

    reader: str
    source: TopicPartition
    offset: int


@dataclass(slots=True)
class DeadLetter:
    """A record that a reader could not digest, as it was, with what went wrong.

    ``version`` is that of the code that could not; ``repeats`` counts how often the same record
    was buried again while the letter was open. ``parked`` are the projections for which the
    record's key waits while the letter is open.
    """

    id: str
    reader: str
    record: LogRecord
    reason: str
    trace: str
    version: str
    time: datetime
    state: LetterState = LetterState.OPEN
    repeats: int = 0
    decided_at: datetime | None = None
    decided_because: str = ""
    parked: frozenset[str] = frozenset()

    @property
    def origin(self) -> Origin:
        return Origin(self.reader, self.record.source, self.record.offset)

    @property
    def type(self) -> str:
        """The stored name of the event, or of the command, that the record claims to be."""
        headers = self.record.headers
        name = headers.get("ce_type") or headers.get("command_type") or b""
        return name.decode("utf-8", "replace")


def dead_letter_headers(
    record: LogRecord, reader: str, error: BaseException, parked: Sequence[str] = ()
) -> Headers:
    """Return the original headers and beside them reader, position, reason and traceback.

    Of a record with personal data only our own errors are quoted: the message of any other may
    hold the very text that a person could ask us to forget.
    """
    quotes = _may_quote(record)
    facts = {
        "dead_reader": reader,
        "dead_topic": record.source.topic,
        "dead_partition": str(record.source.partition),
        "dead_offset": str(record.offset),
        "dead_timestamp": str(record.timestamp_ms),
        "dead_reason": reason_of(record, error),
        "dead_traceback": "\n".join(_trace(error, quotes=quotes))[-_TRACEBACK_CHARACTERS:],
        "dead_version": code_version(),
        "dead_time": clock.to_text(clock.now()),
    }
    if parked:
        facts["dead_parked"] = ",".join(parked)
    original = [(name, value) for name, value in record.headers.items() if not _is_ours(name)]
    return [*original, *((name, value.encode()) for name, value in facts.items())]


def reason_of(record: LogRecord, error: BaseException) -> str:
    """Return what went wrong with a record in a sentence that quotes nobody's personal data."""
    return _sentence(error, quotes=_may_quote(record))[:_REASON_CHARACTERS]


def _may_quote(record: LogRecord) -> bool:
    return PERSONS_HEADER not in record.headers


def decision_record(letter: DeadLetter, state: LetterState, because: str) -> tuple[bytes, Headers]:
    """Return value and headers of the record that decides a letter."""
    partition, _, offset = letter.id.partition(":")
    headers = {
        _DECISION: state.value,
        "dead_topic": TOPIC,
        "dead_partition": partition,
        "dead_offset": offset,
        "dead_version": code_version(),
        "dead_time": clock.to_text(clock.now()),
    }
    return because.encode(), [(name, value.encode()) for name, value in headers.items()]


@cache
def code_version() -> str:
    """Return the version of the code that runs."""
    try:
        return version("streamhub")
    except PackageNotFoundError:
        return "unknown"


def _is_ours(name: str) -> bool:
    return name.startswith(_OURS)


def _sentence(error: BaseException, *, quotes: bool) -> str:
    name = type(error).__name__
    if quotes or isinstance(error, StreamHubError):
        return f"{name}: {error}"
    return f"{name} (its message is withheld: the record holds personal data)"


def _trace(error: BaseException, *, quotes: bool) -> Iterator[str]:
    """Yield the traceback of an error behind those of its causes."""
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None:
        yield from _trace(behind, quotes=quotes)
    frames = "".join(traceback.format_tb(error.__traceback__))
    yield f"Traceback (most recent call last):\n{frames}{_sentence(error, quotes=quotes)}"


@dataclass(slots=True)
class DeadLetterLog:
    """A fold of the topic of dead letters: every letter by its id, with what became of it."""

    letters: dict[str, DeadLetter] = field(default_factory=dict)
    of_key: dict[str, list[DeadLetter]] = field(default_factory=dict)
    _open: dict[Origin, DeadLetter] = field(default_factory=dict)

    def take(self, record: LogRecord) -> None:
        """Take a record of the topic in; what is neither a letter nor a decision is passed over."""
        if _DECISION in record.headers:
            self._decide(record)
            return
        try:
            letter = read_dead_letter(record)
        except UndecodableRecord:
            return
        first = self._open.get(letter.origin)
        # One that has the key wait is another matter than one that lets it go on.
        if first is not None and letter.parked <= first.parked:
            first.repeats += 1
            return
        self.letters[letter.id] = self._open[letter.origin] = letter
        self.of_key.setdefault(record.key, []).append(letter)

    def _decide(self, record: LogRecord) -> None:
        place = (_text(record, "dead_partition", ""), _text(record, "dead_offset", ""))
        letter = self.letters.get(":".join(place))
        if letter is None:
            return
        letter.state = LetterState(_text(record, _DECISION))
        letter.decided_at = clock.from_text(_text(record, "dead_time"))
        letter.decided_because = record.value.decode("utf-8", "replace")
        if self._open.get(letter.origin) is letter:
            del self._open[letter.origin]


def read_dead_letter(record: LogRecord) -> DeadLetter:
    """Return the letter in a record of the topic of dead letters.

    Raises:
        UndecodableRecord: it is none.
    """
    try:
        source = TopicPartition(_text(record, "dead_topic"), int(_text(record, "dead_partition")))
        original = LogRecord(
            source=source,
            offset=int(_text(record, "dead_offset")),
            key=record.key,
            value=record.value,
            headers={n: value for n, value in record.headers.items() if not _is_ours(n)},
            timestamp_ms=int(_text(record, "dead_timestamp", "0")),
        )
        return DeadLetter(
            id=f"{record.source.partition}:{record.offset}",
            reader=_text(record, "dead_reader"),
            record=original,
            reason=_text(record, "dead_reason", ""),
            trace=_text(record, "dead_traceback", ""),
            version=_text(record, "dead_version", "unknown"),
            time=clock.from_text(_text(record, "dead_time")),
            parked=frozenset(filter(None, _text(record, "dead_parked", "").split(","))),
        )
    except (KeyError, ValueError) as error:
        raise UndecodableRecord(f"the record is no dead letter: {error!r}") from error


def _text(record: LogRecord, name: str, default: str | None = None) -> str:
    value = record.headers.get(name)
    if value is None:
        if default is None:
            raise KeyError(name)
        return default
    return value.decode("utf-8", "replace")
