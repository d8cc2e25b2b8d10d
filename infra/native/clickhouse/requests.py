"""What an HTTP request asks for: ClickHouse's URL parameters, headers and forms, as one value."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message

from infra.native.clickhouse.errors import ExceptionCode, ServerError

SESSION_TIMEOUT_DEFAULT_S = 60
SESSION_TIMEOUT_MAX_S = 3600
_DEFAULT_FORMAT = "TabSeparated"
_PARAMETER_PREFIX = "param_"
# Understood here or of no meaning here: never sent to the engine as settings.
_NOT_SETTINGS = frozenset(
    {
        "query", "database", "default_format", "user", "password", "quota_key", "query_id",
        "session_id", "session_timeout", "session_check", "close_session", "role", "stacktrace",
        "buffer_size", "wait_end_of_query", "compress", "decompress", "framing",
        "client_protocol_version", "enable_http_compression", "http_zlib_compression_level",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)  # fmt: skip
_TRUE = frozenset({"1", "true", "True"})
_TOP_LEVEL_COMMA = re.compile(r"(?:[^,(]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))+")


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """A table that exists for one query, sent as a file of a form."""

    name: str
    structure: str
    input_format: str
    data: bytes


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """The session that a request wants to run in."""

    session_id: str
    timeout_s: int
    must_exist: bool


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``statement`` is the part of it that came in the URL or in a form."""

    statement: bytes
    query_id: str
    database: str
    default_format: str
    read_only: bool
    wait_end_of_query: bool
    compress: bool
    session: SessionRequest | None
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    external_tables: tuple[ExternalTable, ...] = field(default=())


def read_request(method: str, fields: Mapping[str, str], headers: Mapping[str, str]) -> Request:
    """Return what the URL (or form) fields and headers ask for; raises ServerError.

    The ``query_id`` must be among the fields, the client's or one made for it.
    """
    for framing in ("compress", "decompress"):
        if fields.get(framing) in _TRUE:
            raise ServerError.of(
                ExceptionCode.NOT_IMPLEMENTED,
                f"'{framing}=1' is not supported; use Accept-Encoding and Content-Encoding",
            )
    return Request(
        statement=fields.get("query", "").encode("utf-8", "surrogateescape"),
        query_id=fields["query_id"],
        database=fields.get("database") or headers.get("x-clickhouse-database", ""),
        default_format=fields.get("default_format")
        or headers.get("x-clickhouse-format")
        or _DEFAULT_FORMAT,
        read_only=method in {"GET", "HEAD"},
        wait_end_of_query=fields.get("wait_end_of_query") in _TRUE,
        compress=fields.get("enable_http_compression") in _TRUE,
        session=_session(fields),
        settings=_settings(fields),
        parameters={
            name.removeprefix(_PARAMETER_PREFIX): value
            for name, value in fields.items()
            if name.startswith(_PARAMETER_PREFIX)
        },
    )


def _settings(fields: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in fields.items()
        if name not in _NOT_SETTINGS and not name.startswith(_PARAMETER_PREFIX)
    }


def _session(fields: Mapping[str, str]) -> SessionRequest | None:
    session_id = fields.get("session_id")
    if not session_id:
        return None
    text = fields.get("session_timeout", str(SESSION_TIMEOUT_DEFAULT_S))
    if not text.isdecimal() or int(text) > SESSION_TIMEOUT_MAX_S:
        raise ServerError.of(
            ExceptionCode.INVALID_SESSION_TIMEOUT,
            f"Invalid session timeout: '{text}', the most is {SESSION_TIMEOUT_MAX_S}",
        )
    return SessionRequest(session_id, int(text), fields.get("session_check") in _TRUE)


def authenticate(fields: Mapping[str, str], headers: Mapping[str, str], password: str) -> None:
    """Raise ServerError unless the request is by user ``default`` with this password."""
    user, given = _credentials(fields, headers)
    if user != "default" or not hmac.compare_digest(given.encode(), password.encode()):
        raise ServerError.of(
            ExceptionCode.AUTHENTICATION_FAILED,
            f"{user}: Authentication failed: password is incorrect, or there is no user "
            "with such name.",
        )


def _credentials(fields: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", "")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return fields.get("user", "default"), fields.get("password", "")
    try:
        user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def is_form(content_type: str) -> bool:
    """Whether the body is a multipart form, rather than a statement or rows."""
    return content_type.lower().startswith("multipart/form-data")


def read_form(
    content_type: str, body: bytes, fields: Mapping[str, str]
) -> tuple[dict[str, str], tuple[ExternalTable, ...]]:
    """Return the URL's fields joined by the form's, and the tables that the form's files hold."""
    joined = dict(fields)
    files: dict[str, bytes] = {}
    for name, is_file, content in _form_parts(content_type, body):
        if is_file:
            files[name] = content
        else:
            joined[name] = content.decode("utf-8", "surrogateescape")
    return joined, tuple(_external_table(name, data, joined) for name, data in files.items())


def _form_parts(content_type: str, body: bytes) -> list[tuple[str, bool, bytes]]:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str):
        raise ServerError.of(ExceptionCode.BAD_ARGUMENTS, "The form has no boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    return [_form_part(part) for part in parts[1:] if not part.startswith(b"--")]


def _form_part(part: bytes) -> tuple[str, bool, bytes]:
    head, separator, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    found = re.search(rb'content-disposition:.*?\bname="([^"]*)"', head, re.IGNORECASE)
    if not separator or found is None:
        raise ServerError.of(ExceptionCode.BAD_ARGUMENTS, "A part of the form has no name")
    return found.group(1).decode(), b"filename" in head.lower(), content


def _external_table(name: str, data: bytes, fields: dict[str, str]) -> ExternalTable:
    """Take the table's own fields out of ``fields``, so that they are not read as settings."""
    input_format = fields.pop(f"{name}_format", "TabSeparated")
    structure = fields.pop(f"{name}_structure", "")
    types = fields.pop(f"{name}_types", "")
    if not structure:
        columns = enumerate(_TOP_LEVEL_COMMA.findall(types), start=1)
        structure = ", ".join(f"_{number} {column.strip()}" for number, column in columns)
    if not structure:
        raise ServerError.of(
            ExceptionCode.BAD_ARGUMENTS, f"The external table '{name}' has no structure"
        )
    return ExternalTable(name, structure, input_format, data)
