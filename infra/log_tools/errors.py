"""What the log's tools say no to."""

from __future__ import annotations

from events.errors import ErrorKind, LogError, StreamHubError


class LogUnreadable(LogError):
    """Kafka refuses to hand out a part of the log that was asked for."""

    code = "LOG_UNREADABLE"


class TopicMissing(StreamHubError):
    """Kafka has no topic of that name."""

    code = "TOPIC_MISSING"


class BadSelection(StreamHubError):
    """What was asked for names no part of the log."""

    kind = ErrorKind.INVALID
    code = "BAD_SELECTION"


class BadBookmark(StreamHubError):
    """A bookmark cannot be read, or belongs to another reading."""

    code = "BAD_BOOKMARK"


class ExtraMissing(StreamHubError):
    """An optional package that this command needs is not installed."""

    code = "EXTRA_MISSING"


class ForbiddenTarget(StreamHubError):
    """Records of the log would be written into the log itself."""

    code = "FORBIDDEN_TARGET"


class ReceiverFailed(StreamHubError):
    """The command that receives replayed records ended before they did, or with an error."""

    code = "RECEIVER_FAILED"
