"""What goes back: the ``X-ClickHouse-*`` headers, content types and the text of exceptions."""

from __future__ import annotations

import secrets
import string

import orjson
from starlette.responses import Response

from infra.native.clickhouse.compression import Encoder
from infra.native.clickhouse.engine import Engine, Result
from infra.native.clickhouse.errors import ServerError

# By the beginning of the format's name, the longest first.
_CONTENT_TYPES = (
    ("JSONCompactEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
    ("JSONLines", "application/x-ndjson; charset=UTF-8"),
    ("NDJSON", "application/x-ndjson; charset=UTF-8"),
    ("JSON", "application/json; charset=UTF-8"),
    ("CSVWithNames", "text/csv; charset=UTF-8; header=present"),
    ("CSV", "text/csv; charset=UTF-8; header=absent"),
    ("TabSeparated", "text/tab-separated-values; charset=UTF-8"),
    ("TSV", "text/tab-separated-values; charset=UTF-8"),
    ("Native", "application/octet-stream"),
    ("RowBinary", "application/octet-stream"),
    ("Arrow", "application/octet-stream"),
    ("Parquet", "application/octet-stream"),
    ("ORC", "application/octet-stream"),
)
_TAG_LENGTH = 16


def content_type(output_format: str) -> str:
    """Return the media type of a result in this format."""
    for prefix, media_type in _CONTENT_TYPES:
        if output_format.startswith(prefix):
            return media_type
    return "text/plain; charset=UTF-8"


def common_headers(engine: Engine, query_id: str) -> dict[str, str]:
    """Return the headers that every answer to a statement carries."""
    return {
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Timezone": engine.timezone,
        "X-ClickHouse-Server-Display-Name": engine.host_name,
    }


def result_headers(output_format: str, result: Result, encoder: Encoder | None) -> dict[str, str]:
    """Return the headers that describe a result; numbers in the summary are text, as there."""
    summary = {
        "read_rows": str(result.rows_read),
        "read_bytes": str(result.bytes_read),
        "written_rows": str(result.rows_written),
        "written_bytes": str(result.bytes_written),
        "total_rows_to_read": "0",
        "result_rows": str(result.rows_written or result.rows_read),
        "result_bytes": str(len(result.body)),
        "elapsed_ns": str(round(result.elapsed_s * 1e9)),
    }
    headers = {
        "Content-Type": content_type(output_format),
        "X-ClickHouse-Format": output_format,
        "X-ClickHouse-Summary": orjson.dumps(summary).decode(),
    }
    if encoder:
        headers["Content-Encoding"] = encoder.encoding
    return headers


def exception_response(engine: Engine, failure: ServerError, query_id: str) -> Response:
    """Return the answer that reports an exception before any of the result was sent."""
    return Response(
        exception_text(engine, failure),
        status_code=failure.status,
        headers={
            **common_headers(engine, query_id),
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Exception-Code": str(failure.code),
        },
    )


def exception_text(engine: Engine, failure: ServerError) -> str:
    """Return the exception as ClickHouse prints it, with the version and a line end."""
    return f"{failure.message} (version {engine.version} (chdb))\n"


def new_exception_tag() -> str:
    """Return the random tag that marks an exception within a result, told in a header first."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(_TAG_LENGTH))


def tagged_exception(engine: Engine, tag: str, failure: ServerError) -> bytes:
    """Return what ends a result that broke off after it had begun (ClickHouse 25.11 and later)."""
    text = exception_text(engine, failure)
    length = len(text.encode())
    return f"\r\n__exception__\r\n{tag}\r\n{text}{length} {tag}\r\n__exception__\r\n".encode()
