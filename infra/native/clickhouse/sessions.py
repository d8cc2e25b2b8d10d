"""Connections for requests: a fresh one each, or the one that a session keeps.

A fresh connection makes isolation a matter of course: what a request sets is gone with it. A
session (``session_id``) keeps its connection between requests, with its ``SET``, ``USE`` and
temporary tables, as ClickHouse does; there what a request set is undone for the next.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from infra.native.clickhouse.engine import Connection, Engine, Result
from infra.native.clickhouse.errors import ExceptionCode, ServerError
from infra.native.clickhouse.requests import ExternalTable, Request, SessionRequest
from infra.native.clickhouse.statements import first_word

# The longest idle session is given up for a new one above this number.
SESSIONS_MAX = 512
_DEFAULT_DATABASE = "default"
_SETTINGS_QUERY = (
    b"SELECT name, if(changed, value, NULL) FROM system.settings "
    b"WHERE has({names:Array(String)}, name)"
)
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")


@dataclass(slots=True)
class Session:
    """A connection that outlives its requests.

    What one request set is undone by the next one that does not set the same, so that a client
    that sends the same settings with every request costs no statement for them. ``database`` is
    the session's own, ``current`` where the last request left the connection; ``applied`` are the
    settings of the last request, ``own`` what the session itself has for them (None: default).
    """

    connection: Connection
    database: str = _DEFAULT_DATABASE
    current: str = _DEFAULT_DATABASE
    busy: bool = True
    expires_at_s: float = 0.0
    applied: dict[str, str] = field(default_factory=dict)
    own: dict[str, str | None] = field(default_factory=dict)

    def apply(self, database: str, settings: Mapping[str, str]) -> None:
        """Bring the connection to this database (empty: the session's) and these settings."""
        wanted = database or self.database
        if wanted != self.current:
            _use(self.connection, wanted)
            self.current = wanted
        if settings == self.applied:
            return
        unknown = [name for name in settings if name not in self.own]
        if unknown:
            self.own |= _values(self.connection, unknown)
        undo = {name: self.own.get(name) for name in self.applied if name not in settings}
        _set(self.connection, {**undo, **settings})
        self.applied = dict(settings)

    def before(self, sql: bytes) -> None:
        """Leave nothing of the request behind that a SET of the session could be mixed with."""
        if first_word(sql) == "SET":
            self.apply(self.current, {})
            self.own.clear()

    def after(self, sql: bytes) -> None:
        """Take over the database that a USE has moved the session to."""
        if first_word(sql) == "USE":
            result = self.connection.query(b"SELECT currentDatabase()", "TabSeparated")
            self.database = self.current = result.body.decode().rstrip("\n")


class Sessions:
    """The sessions by id, bounded in number and in idle time. Safe to use from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._by_id: dict[str, Session] = {}

    def acquire(self, wanted: SessionRequest) -> Session:
        """Return the session for the caller alone.

        Raises ServerError when another request runs in it, or when it must exist and does not.
        """
        with self._lock:
            self._drop_expired()
            session = self._by_id.get(wanted.session_id)
            if session is None:
                return self._create(wanted)
            if session.busy:
                raise ServerError.of(
                    ExceptionCode.SESSION_IS_LOCKED,
                    f"Session {wanted.session_id} is locked by a concurrent client",
                )
            session.busy = True
            return session

    def release(self, wanted: SessionRequest, session: Session) -> None:
        """Give the session back; its idle time begins."""
        with self._lock:
            session.busy = False
            session.expires_at_s = time.monotonic() + wanted.timeout_s

    def close(self) -> None:
        """Close every session."""
        with self._lock:
            for session in self._by_id.values():
                session.connection.close()
            self._by_id.clear()

    def _create(self, wanted: SessionRequest) -> Session:
        if wanted.must_exist:
            raise ServerError.of(
                ExceptionCode.SESSION_NOT_FOUND, f"Session {wanted.session_id} not found"
            )
        if len(self._by_id) >= SESSIONS_MAX:
            self._drop_longest_idle()
        session = Session(self._engine.connect())
        self._by_id[wanted.session_id] = session
        return session

    def _drop_longest_idle(self) -> None:
        idle = [(s.expires_at_s, key) for key, s in self._by_id.items() if not s.busy]
        if idle:
            self._by_id.pop(min(idle)[1]).connection.close()

    def _drop_expired(self) -> None:
        now_s = time.monotonic()
        expired = [key for key, s in self._by_id.items() if not s.busy and s.expires_at_s <= now_s]
        for key in expired:
            self._by_id.pop(key).connection.close()


@dataclass(slots=True)
class Lease:
    """A connection set up for one request; ``release`` must follow, once or more often."""

    sessions: Sessions
    request: Request
    connection: Connection
    session: Session | None
    _released: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def take(cls, engine: Engine, sessions: Sessions, request: Request) -> Lease:
        """Connect, or take the session, and apply the request's database and settings.

        Raises ServerError, and then nothing is left to release.
        """
        session = sessions.acquire(request.session) if request.session else None
        connection = session.connection if session else engine.connect()
        lease = cls(sessions, request, connection, session)
        try:
            lease._prepare()
        except ServerError:
            lease.release()
            raise
        return lease

    def query(self, sql: bytes) -> Result:
        """Run one statement to its end; raises ServerError."""
        if self.session:
            self.session.before(sql)
        request = self.request
        result = self.connection.query(sql, request.default_format, request.parameters)
        if self.session:
            self.session.after(sql)
        return result

    def release(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._released:
                return
            self._released = True
        if self.session is None or self.request.session is None:
            self.connection.close()
            return
        with suppress(ServerError):
            for table in self.request.external_tables:
                _drop_external(self.connection, table)
        self.sessions.release(self.request.session, self.session)

    def _prepare(self) -> None:
        request = self.request
        if self.session:
            self.session.apply(request.database, request.settings)
        else:
            if request.database:
                _use(self.connection, request.database)
            _set(self.connection, request.settings)
        for table in request.external_tables:
            _create_external(self.connection, table)


def quoted_name(name: str) -> str:
    """Return an identifier in backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _quoted_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _use(connection: Connection, database: str) -> None:
    connection.query(f"USE {quoted_name(database)}".encode(), "TabSeparated")


def _set(connection: Connection, settings: Mapping[str, str] | Mapping[str, str | None]) -> None:
    """Apply settings; None stands for the default. Raises ServerError for an unknown one."""
    if not settings:
        return
    for name in settings:
        if not _SETTING_NAME.match(name):
            raise ServerError.of(ExceptionCode.UNKNOWN_SETTING, f"Unknown setting '{name}'.")
    assignments = ", ".join(
        f"{name} = {'DEFAULT' if value is None else _quoted_text(value)}"
        for name, value in settings.items()
    )
    connection.query(f"SET {assignments}".encode("utf-8", "surrogateescape"), "TabSeparated")


def _values(connection: Connection, names: Iterable[str]) -> dict[str, str | None]:
    wanted = "[" + ", ".join(_quoted_text(name) for name in names) + "]"
    result = connection.query(_SETTINGS_QUERY, "JSONCompactEachRow", {"names": wanted})
    rows: list[tuple[str, str | None]] = [orjson.loads(line) for line in result.body.splitlines()]
    return dict(rows)


def _create_external(connection: Connection, table: ExternalTable) -> None:
    name = quoted_name(table.name)
    create = f"CREATE TEMPORARY TABLE {name} ({table.structure})"
    connection.query(create.encode(), "TabSeparated")
    insert = connection.insert(f"INSERT INTO {name}".encode(), table.input_format)
    insert.append(table.data)
    insert.finish()


def _drop_external(connection: Connection, table: ExternalTable) -> None:
    drop = f"DROP TEMPORARY TABLE IF EXISTS {quoted_name(table.name)}"
    connection.query(drop.encode(), "TabSeparated")
