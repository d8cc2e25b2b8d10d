"""The embedded ClickHouse engine (chdb) behind a small typed interface.

What was found out about the engine (chdb 4.4, ClickHouse 26.9), and what follows from it:

- One process hosts one engine on one data directory; a second process is refused by the lock on
  ``status``. The lock is the kernel's (flock), so a killed process leaves nothing behind.
- A connection is cheap (0.2 ms, 0.1 MB) and holds ``SET``, ``USE`` and temporary tables.
  Connections run in parallel in the engine's threads, with Python's lock released: two queries on
  two cores take the time of one, and a small query beside a long one keeps its latency. A
  connection carries one statement at a time.
- ``send_insert`` takes the rows as bytes in any input format, at 5 to 10 million narrow rows a
  second for native blocks, and squashes what it is given into parts as the server does. Rows
  inlined behind a statement are not equal to it: a long native block arrives cut off.
- What an insert acknowledged has left the process: kill -9 does not lose it.
- ``insert_done`` tells of rows that it could not read, and keeps to itself whatever else the engine
  met while it wrote them: a violated constraint, too many partitions, no space. The engine counts
  its errors by their codes, with the query that met each last, so it is asked afterwards.
- A part whose file could not be written (a full disk) is taken for a good one. So the engine keeps
  some of its disk free, and refuses inserts and puts merges off while it has no more than that.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast
from xml.sax.saxutils import escape

from infra.native.clickhouse.errors import DataDirectoryInUse, ExceptionCode, ServerError

# Results in these formats are the concatenation of their blocks; others have a frame of their own.
STREAMABLE_FORMATS = frozenset(
    {"Native", "RowBinary", "TabSeparated", "TSV", "CSV", "JSONEachRow", "JSONLines", "NDJSON"}
)

# Sizes for a small machine. A mutation is postponed while the background pool has fewer free
# entries than MergeTree asks for, and its defaults ask for more than a pool of this size has.
# The sleeps are those of the background executor, whose random second makes a mutation of 30
# partitions take 4 s instead of 0.2 s.
_SERVER_SETTINGS: Mapping[str, str | int | float] = {
    "background_pool_size": 4,
    "background_processing_pool_thread_sleep_seconds_if_nothing_to_do": 0.02,
    "background_processing_pool_task_sleep_seconds_when_no_work_random_part": 0.02,
    "background_processing_pool_task_sleep_seconds_when_no_work_max": 60,
    "mark_cache_size": 64 << 20,
    "index_mark_cache_size": 16 << 20,
    "primary_index_cache_size": 64 << 20,
    "query_condition_cache_size": 8 << 20,
    "compiled_expression_cache_size": 16 << 20,
    "tables_loader_foreground_pool_size": 2,
    "tables_loader_background_pool_size": 2,
}
_MERGE_TREE_SETTINGS: Mapping[str, int] = {
    "number_of_free_entries_in_pool_to_execute_mutation": 2,
    "number_of_free_entries_in_pool_to_lower_max_size_of_merge": 2,
    "number_of_free_entries_in_pool_to_execute_optimize_entire_partition": 2,
}
# An insert is answered when its part is on disk, whatever the engine's default is.
_CONNECTION_SETTINGS = "async_insert=0"


class StatementKind(StrEnum):
    """How the engine's parser classes a statement."""

    READ_ONLY = "READ_ONLY"
    MUTATING = "MUTATING"
    MUTATING_GLOBAL = "MUTATING_GLOBAL"
    CONTROL = "CONTROL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Classification:
    """What the engine's parser says of a text, without running it. UNKNOWN did not parse."""

    kind: StatementKind
    statements: int


@dataclass(frozen=True, slots=True)
class Result:
    """A finished statement: its output in the format asked for, and what it cost."""

    body: bytes = b""
    rows_read: int = 0
    bytes_read: int = 0
    rows_written: int = 0
    bytes_written: int = 0
    elapsed_s: float = 0.0


class _NativeResult(Protocol):
    def bytes(self) -> bytes: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...
    def elapsed(self) -> float: ...


class _NativeConnection(Protocol):
    def query(self, sql: bytes, fmt: str, *, params: Mapping[str, str]) -> _NativeResult: ...
    def send_query(self, sql: bytes, fmt: str, *, params: Mapping[str, str]) -> object: ...
    def streaming_fetch_result(self, handle: object) -> _NativeResult: ...
    def streaming_cancel_query(self, handle: object) -> None: ...
    def send_insert(self, sql: bytes, fmt: str) -> object: ...
    def insert_append(self, handle: object, data: bytes) -> None: ...
    def insert_done(self, handle: object) -> _NativeResult: ...
    def insert_cancel(self, handle: object) -> None: ...
    def classify_query(self, sql: bytes) -> dict[str, Any]: ...
    def close(self) -> None: ...


def _result(native: _NativeResult) -> Result:
    return Result(
        native.bytes(),
        native.rows_read(),
        native.bytes_read(),
        native.rows_written(),
        native.bytes_written(),
        native.elapsed(),
    )


class _Met(NamedTuple):
    """Errors of one code that the engine has met, and whether this connection met the last one."""

    code: int
    name: str
    times: int
    own: bool
    message: str


# Of an insert that has ended, queryID() remains that of its connection.
_MET = (
    b"SELECT code, name, toUInt32(value), query_id = queryID(), last_error_message"
    b" FROM system.errors"
)


def _times_met(native: _NativeConnection) -> dict[int, int]:
    """Return how often errors were met, by their codes; without more it takes half the time."""
    counted = native.query(b"SELECT code, value FROM system.errors", "TSV", params={}).bytes()
    return {int(code): int(times) for code, times in map(bytes.split, counted.splitlines())}


def _met(native: _NativeConnection) -> list[_Met]:
    lines = native.query(_MET, "JSONCompactEachRow", params={}).bytes().splitlines()
    return [_Met(*json.loads(line)) for line in lines]


class Insert:
    """An INSERT that is being fed. ``finish`` commits; until then nothing is acknowledged."""

    def __init__(self, native: _NativeConnection, header: bytes, input_format: str) -> None:
        self._native = native
        try:
            self._met_before = _times_met(native)
            self._handle: object | None = native.send_insert(header, input_format)
        except RuntimeError as failure:
            raise ServerError.from_engine(str(failure)) from failure

    def append(self, data: bytes) -> None:
        """Hand over the next bytes of the rows, cut anywhere; raises ServerError."""
        if not data:
            return
        try:
            self._native.insert_append(self._handle, data)
        except RuntimeError as failure:
            raise ServerError.from_engine(str(failure)) from failure

    def finish(self) -> Result:
        """Write what is left and return what was written; raises ServerError."""
        handle, self._handle = self._handle, None
        try:
            result = _result(self._native.insert_done(handle))
            if _times_met(self._native) != self._met_before:
                self._raise_untold()
        except RuntimeError as failure:
            raise ServerError.from_engine(str(failure)) from failure
        return result

    def _raise_untold(self) -> None:
        """Raise what the engine met while it wrote.

        Of a code that was met once meanwhile, by another query, this insert knows nothing. Where it
        was met more than once, only the last one's query is known.
        """
        for met in _met(self._native):
            more = met.times - self._met_before.get(met.code, 0)
            if more and met.own:
                text = f"Code: {met.code}. DB::Exception: {met.message} ({met.name})"
                raise ServerError(met.code, text)
            if more > 1:
                doubt = f"{met.name} was met meanwhile, maybe by this insert: {met.message}"
                raise ServerError.of(ExceptionCode.UNKNOWN_STATUS_OF_INSERT, doubt)

    def cancel(self) -> None:
        """Give up what has not been finished; does nothing afterwards."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._native.insert_cancel(handle)


class Connection:
    """One connection: one statement at a time, from any thread."""

    def __init__(self, native: _NativeConnection) -> None:
        self._native = native
        self._closed = False
        self._lock = threading.Lock()

    def query(
        self, sql: bytes, output_format: str, parameters: Mapping[str, str] | None = None
    ) -> Result:
        """Run one statement to its end; raises ServerError.

        ``output_format`` applies when the statement has no FORMAT. Parameters are in the escaped
        form in which the HTTP interface takes them.
        """
        try:
            return _result(self._native.query(sql, output_format, params=parameters or {}))
        except RuntimeError as failure:
            raise ServerError.from_engine(str(failure)) from failure

    def stream(
        self, sql: bytes, output_format: str, parameters: Mapping[str, str]
    ) -> Generator[bytes]:
        """Run one SELECT and yield its blocks; closing cancels. Raises ServerError."""
        handle: object | None = None
        try:
            handle = self._native.send_query(sql, output_format, params=parameters)
            while block := self._native.streaming_fetch_result(handle).bytes():
                yield block
            handle = None
        except RuntimeError as failure:
            handle = None
            raise ServerError.from_engine(str(failure)) from failure
        finally:
            if handle is not None:
                self._native.streaming_cancel_query(handle)

    def insert(self, header: bytes, input_format: str) -> Insert:
        """Begin an INSERT; ``header`` ends before FORMAT or VALUES. Raises ServerError."""
        return Insert(self._native, header, input_format)

    def classify(self, sql: bytes) -> Classification:
        """Return what the engine's parser makes of the text."""
        report = self._native.classify_query(sql)
        return Classification(
            StatementKind(report["query_class"].name), int(report["statement_count"])
        )

    def close(self) -> None:
        """Close; a second time does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._native.close()


class Engine:
    """The engine on one data directory; it lives until ``close``."""

    def __init__(self, data_directory: Path, memory_bytes_max: int, free_bytes_min: int) -> None:
        """Start the engine; raises DataDirectoryInUse when another process holds the directory.

        What others may write to its disk while an insert or a merge is at work must fit into
        ``free_bytes_min``.
        """
        self._path = data_directory.resolve()
        self._path.mkdir(parents=True, exist_ok=True)
        _refuse_if_locked(self._path)
        configuration = self._path / "engine.xml"
        configuration.write_text(_configuration(memory_bytes_max, free_bytes_min))
        self._connect = _load_engine()
        # This one keeps the engine alive between the connections of the requests.
        self._anchor = self._open(f"config-file={configuration}&{_CONNECTION_SETTINGS}")
        facts = self._anchor.query(b"SELECT version(), timezone(), hostName()", "TabSeparated")
        self.version, self.timezone, self.host_name = facts.body.decode().strip().split("\t")

    def connect(self) -> Connection:
        """Open a connection with the engine's default settings and database."""
        return self._open(_CONNECTION_SETTINGS)

    def close(self) -> None:
        """Stop the engine once the connections are closed."""
        self._anchor.close()

    def _open(self, options: str) -> Connection:
        return Connection(self._connect(f"{self._path}?{options}"))


class _Connect(Protocol):
    def __call__(self, connection_string: str, /) -> _NativeConnection: ...


def _load_engine() -> _Connect:
    """Import the engine, which takes 0.6 s, so not before there is something to start.

    The engine belongs to a process of its own. Its Python layer imports numpy and pyarrow when it
    finds them, for table functions that no remote client can use; hidden from it, for the life of
    the process, they leave it 45 MB smaller.
    """
    # The engine takes its zone from the process, and a server's must not depend on who starts it.
    os.environ["TZ"] = "UTC"
    modules = cast("dict[str, object]", sys.modules)
    for name in ("pandas", "numpy", "pyarrow"):
        modules.setdefault(name, None)
    from chdb import _chdb

    return cast("_Connect", getattr(_chdb, "connect"))  # noqa: B009 - a compiled module, untyped


def _refuse_if_locked(path: Path) -> None:
    status = path / "status"
    if not status.exists():
        return
    with status.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as failure:
            raise DataDirectoryInUse(f"Another engine is running on {path}") from failure


def _configuration(memory_bytes_max: int, free_bytes_min: int) -> str:
    server = {**_SERVER_SETTINGS, "max_server_memory_usage": memory_bytes_max}
    merge_tree = "".join(_elements(_MERGE_TREE_SETTINGS))
    disk = "".join(_elements({"keep_free_space_bytes": free_bytes_min}))
    return (
        f"<clickhouse>\n{''.join(_elements(server))}"
        f"<merge_tree>\n{merge_tree}</merge_tree>\n"
        "<storage_configuration><disks><default>\n"
        f"{disk}</default></disks></storage_configuration>\n</clickhouse>\n"
    )


def _elements(settings: Mapping[str, str | int | float]) -> Iterator[str]:
    for name, value in settings.items():
        yield f"  <{name}>{escape(str(value))}</{name}>\n"
