"""Where a video's files lie in object storage."""

from __future__ import annotations


def source_key(video_id: str) -> str:
    """Return where the file lies that was uploaded."""
    return f"uploads/{video_id}/source"


def ladder_key(video_id: str, name: str) -> str:
    """Return where a file of the ladder lies (SH-106)."""
    return f"videos/{video_id}/{name}"


def media_prefixes(video_id: str) -> tuple[str, str]:
    """Return what the keys of all files of a video begin with."""
    return f"uploads/{video_id}/", ladder_key(video_id, "")
