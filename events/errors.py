"""The one tree of errors.

    StreamHubError                       anything this system says no with
    ├── DomainError                      a command or query that cannot be granted
    │   ├── Invalid                      the input is wrong (names the field)
    │   ├── Unauthenticated              nobody known is asking
    │   ├── NotPermitted                 somebody known is asking for too much
    │   ├── NotFound                     what is named does not exist, or not for the caller
    │   ├── Conflict                     it clashes with what already happened
    │   ├── Unprocessable                well formed, but cannot mean anything here
    │   ├── TooLarge                     the input is over a limit of size
    │   └── RateLimited                  too often
    ├── Unavailable                      a server is away; try again later
    └── LogError                         a record of the log cannot be read or written

Domain errors carry data and a ``code``; only the HTTP edge knows status codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class ErrorKind(StrEnum):
    """What sort of no it is; the HTTP edge turns it into a status code."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    NOT_PERMITTED = "not_permitted"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNPROCESSABLE = "unprocessable"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of an input: its name as the client spelt it, and what is wrong."""

    field: str
    message: str


class StreamHubError(Exception):
    """The root: a ``kind``, a stable ``code`` and a sentence for a person."""

    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL
    code: str = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Sequence[FieldError] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.details = tuple(details)
        self.retry_after_s = retry_after_s


class DomainError(StreamHubError):
    """A command or query that cannot be granted; recorded as the command's outcome."""


class Invalid(DomainError):
    """The input is wrong; ``details`` name each field."""

    kind = ErrorKind.INVALID
    code = "VALIDATION_ERROR"

    @classmethod
    def field(cls, field: str, message: str) -> Invalid:
        """Return the error for a single wrong field."""
        return cls("Invalid input", details=[FieldError(field, message)])


class Unauthenticated(DomainError):
    """No credentials, or credentials that prove nothing."""

    kind = ErrorKind.UNAUTHENTICATED
    code = "AUTHENTICATION_ERROR"


class NotPermitted(DomainError):
    """The caller is known and may not do this."""

    kind = ErrorKind.NOT_PERMITTED
    code = "PERMISSION_DENIED"


class NotFound(DomainError):
    """What is named does not exist, or the caller must not learn that it does."""

    kind = ErrorKind.NOT_FOUND
    code = "NOT_FOUND"


class Conflict(DomainError):
    """It clashes with what already happened."""

    kind = ErrorKind.CONFLICT
    code = "CONFLICT"


class Unprocessable(DomainError):
    """Well formed, but cannot mean anything here."""

    kind = ErrorKind.UNPROCESSABLE
    code = "UNPROCESSABLE"


class TooLarge(DomainError):
    """The input is over a limit of size."""

    kind = ErrorKind.TOO_LARGE
    code = "PAYLOAD_TOO_LARGE"


class RateLimited(DomainError):
    """Too many requests in the window."""

    kind = ErrorKind.RATE_LIMITED
    code = "RATE_LIMIT_ERROR"


class Unavailable(StreamHubError):
    """A server that is needed is away; nothing was changed, try again later."""

    kind = ErrorKind.UNAVAILABLE
    code = "UNAVAILABLE"


class LogError(StreamHubError):
    """A record of the log cannot be read or written."""

    code = "LOG_ERROR"


class UnknownEventType(LogError):
    """The registry has no event of this stored name."""

    code = "UNKNOWN_EVENT_TYPE"


class UndecodableRecord(LogError):
    """The bytes of a record are not what its headers claim."""

    code = "UNDECODABLE_RECORD"


_BY_KIND: dict[ErrorKind, type[DomainError]] = {
    error.kind: error
    for error in (
        Invalid,
        Unauthenticated,
        NotPermitted,
        NotFound,
        Conflict,
        Unprocessable,
        TooLarge,
        RateLimited,
    )
}


def domain_error(
    kind: ErrorKind, code: str, message: str, details: Sequence[FieldError] = ()
) -> DomainError:
    """Return the domain error that a stored outcome describes."""
    return _BY_KIND.get(kind, Conflict)(message, code=code, details=details)
