"""Ids and times as they stand in the log."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import uuid_utils

_NAMESPACE = uuid_utils.UUID("6f0b7c1e-5c38-4b57-9d3a-6d0d8e3f8a51")


def new_id() -> str:
    """Return a new UUIDv7: sortable by time, so indexes on it stay compact (RFC 9562)."""
    return str(uuid_utils.uuid7())


def id_from(*parts: str) -> str:
    """Return the same UUIDv5 for the same parts: how a retry finds its first try."""
    return str(uuid_utils.uuid5(_NAMESPACE, "\x1f".join(parts)))


def now() -> datetime:
    """Return the current time, UTC."""
    return datetime.now(UTC)


@lru_cache(maxsize=1024)
def to_text(moment: datetime) -> str:
    """Return RFC 3339 text in UTC with microseconds; records of one command have one time."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


def from_text(text: str) -> datetime:
    """Return the moment that RFC 3339 text names.

    Raises:
        ValueError: it is not such text.
    """
    return datetime.fromisoformat(text)
