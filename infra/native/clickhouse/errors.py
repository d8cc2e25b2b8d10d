"""What the server says no with: ClickHouse's exception codes and the HTTP status of each.

The codes are those of ClickHouse's ``ErrorCodes.cpp``; the mapping to statuses follows its
``exceptionCodeToHTTPStatus.cpp``, where a code that is not named means 500.
"""

from __future__ import annotations

import re
from enum import IntEnum

from events.errors import StreamHubError


class ExceptionCode(IntEnum):
    """The ClickHouse exception codes that this server raises itself."""

    BAD_ARGUMENTS = 36
    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_COMPRESSION_METHOD = 89
    UNKNOWN_SETTING = 115
    READONLY = 164
    CANNOT_DECOMPRESS = 271
    UNKNOWN_STATUS_OF_INSERT = 319
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    INVALID_SESSION_TIMEOUT = 374
    AUTHENTICATION_FAILED = 516
    UNKNOWN_EXCEPTION = 1002


_CODES_BY_STATUS: dict[int, tuple[int, ...]] = {
    # Arguments, values and syntax: BAD_ARGUMENTS, CANNOT_PARSE_*, ILLEGAL_COLUMN, SYNTAX_ERROR, …
    400: (
        *(6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321),
        *(376, 427, 441, 675, 676),
    ),
    401: (194,),
    # UNKNOWN_USER, WRONG_PASSWORD, ACCESS_DENIED, SET_NON_GRANTED_ROLE, AUTHENTICATION_FAILED.
    403: (192, 193, 497, 512, 516),
    # UNKNOWN_FUNCTION, _IDENTIFIER, _TYPE, _STORAGE, _TABLE, _FORMAT, _DATABASE, _SETTING, …
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    415: (779,),
    501: (48,),
    # CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK.
    503: (76, 209, 439),
}
_STATUS_BY_CODE = {code: status for status, codes in _CODES_BY_STATUS.items() for code in codes}

_CODE = re.compile(r"Code: (\d+)\.")
_REPEATED_PREFIX = re.compile(r"^(?:Code: \d+\. DB::\w+: )+(?=Code: \d+\. )")
_VERSION = re.compile(r"\s*\(version [^()]*\)\.?")


def http_status(code: int) -> int:
    """Return the HTTP status with which ClickHouse reports this exception code."""
    return _STATUS_BY_CODE.get(code, 500)


class DataDirectoryInUse(StreamHubError):
    """Another engine holds the lock of the data directory."""

    code = "CLICKHOUSE_DATA_DIRECTORY_IN_USE"


class ServerError(Exception):
    """One exception as a ClickHouse client meets it.

    ``code`` is ClickHouse's number, ``message`` the one-line text that starts with
    ``Code: <number>. DB::Exception:``, without the version of the server.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return http_status(self.code)

    @classmethod
    def of(cls, code: ExceptionCode, text: str) -> ServerError:
        """Return an exception that the server, not the engine, raises."""
        return cls(int(code), f"Code: {int(code)}. DB::Exception: {text} ({code.name})")

    @classmethod
    def from_engine(cls, text: str) -> ServerError:
        """Return the exception that the engine's own text describes.

        The engine sometimes wraps an exception in itself; the innermost prefix is kept, and
        the versions that each layer appended go.
        """
        start = text.find("Code: ")
        if start < 0:
            return cls.of(ExceptionCode.UNKNOWN_EXCEPTION, text.strip())
        message = _REPEATED_PREFIX.sub("", _VERSION.sub("", text[start:]).strip())
        found = _CODE.match(message)
        code = int(found.group(1)) if found else int(ExceptionCode.UNKNOWN_EXCEPTION)
        return cls(code, _without_repeated_name(message))


def _without_repeated_name(message: str) -> str:
    """``… (NAME). (NAME)`` becomes ``… (NAME)``."""
    return re.sub(r"(\([A-Z0-9_]+\))(?:\.? \1)+$", r"\1", message)
