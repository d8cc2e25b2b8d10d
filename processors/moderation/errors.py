"""What can go wrong when content is scored.

ModerationError
├── InvalidModel      a model file, or the description beside it, cannot be used
└── UnreadableMedia   the file to score holds no video that can be decoded
"""

from __future__ import annotations

from events.errors import ErrorKind, StreamHubError


class ModerationError(StreamHubError):
    """Content could not be scored; nothing is known about it."""

    code = "MODERATION_ERROR"


class InvalidModel(ModerationError):
    """A model file or its description is absent, damaged or of another shape than it claims."""

    code = "INVALID_MODEL"


class UnreadableMedia(ModerationError):
    """The file is absent, is not a video, or not one frame of it can be decoded."""

    kind = ErrorKind.UNPROCESSABLE
    code = "UNREADABLE_MEDIA"
