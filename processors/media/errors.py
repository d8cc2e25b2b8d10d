"""What can be wrong with an uploaded film, in sentences for the person who uploaded it.

MediaError                    this file cannot become a stream
├── EmptyFile                 zero bytes arrived
├── NotAVideo                 no known container of film or sound
├── NoVideoStream             sound or pictures only
├── TruncatedMedia            clearly shorter than it says it is
├── UnsupportedCodec          nothing here can decode it
├── UndecodableMedia          the decoder is known, but not one picture came out
├── FilmTooLong               over the limit of duration
└── TranscodeCancelled        whoever asked for the transcode has asked for it to stop
"""

from __future__ import annotations

from events.errors import ErrorKind, StreamHubError


class MediaError(StreamHubError):
    """The file cannot become a stream; a retry with the same bytes ends the same way."""

    kind = ErrorKind.UNPROCESSABLE
    code = "MEDIA_ERROR"
    sentence = "The file could not be processed."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).sentence)


class EmptyFile(MediaError):
    """Zero bytes."""

    code = "MEDIA_EMPTY_FILE"
    sentence = "The uploaded file is empty."


class NotAVideo(MediaError):
    """No demuxer recognises the bytes."""

    code = "MEDIA_NOT_A_VIDEO"
    sentence = "The uploaded file is not a video in a format that can be read."


class NoVideoStream(MediaError):
    """A readable container without moving pictures; cover art does not count."""

    code = "MEDIA_NO_VIDEO_STREAM"
    sentence = "The uploaded file has no video in it, only sound or still pictures."


class TruncatedMedia(MediaError):
    """The index is missing, or less than nine tenths of the declared duration is there."""

    code = "MEDIA_TRUNCATED"
    sentence = "The uploaded file is incomplete: its end is missing. Please upload it again."


class UnsupportedCodec(MediaError):
    """The container is fine, but there is no decoder for its video."""

    code = "MEDIA_UNSUPPORTED_CODEC"
    sentence = "The video is in a coding that is not supported."


class UndecodableMedia(MediaError):
    """The decoder accepted the stream and gave no picture: damaged or encrypted data."""

    code = "MEDIA_UNDECODABLE"
    sentence = "The video is damaged or encrypted: not one picture of it could be decoded."


class FilmTooLong(MediaError):
    """The film lasts longer than the options allow."""

    code = "MEDIA_TOO_LONG"
    sentence = "The video is longer than is allowed."


class TranscodeCancelled(MediaError):
    """``should_stop`` answered yes; nothing was left behind."""

    kind = ErrorKind.CONFLICT
    code = "MEDIA_TRANSCODE_CANCELLED"
    sentence = "Processing was cancelled."
