"""The consistency token: an opaque text that says how much of the log its holder has seen.

It comes with every command's answer (header ``Consistency-Token``); a query that carries it waits
until the projections that it reads have applied that much. Tokens merge: the answer's token holds
whatever the request's token held.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import NewType

from events.errors import Invalid

HEADER = "Consistency-Token"
_PREFIX = "v1."

#: (domain, partition) -> offset of the last event that must have been applied.
Seen = NewType("Seen", Mapping[tuple[str, int], int])


def encode(seen: Mapping[tuple[str, int], int]) -> str:
    """Return the token for what was seen."""
    text = ",".join(f"{d}/{p}/{offset}" for (d, p), offset in sorted(seen.items()))
    return _PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(token: str | None) -> Seen:
    """Return what a token says was seen; nothing for no token.

    Raises:
        Invalid: it is no token of ours.
    """
    if not token:
        return Seen({})
    try:
        if not token.startswith(_PREFIX):
            raise ValueError(token)
        body = token[len(_PREFIX) :]
        padded = body + "=" * (-len(body) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        parts = [part.split("/") for part in text.split(",") if part]
        return Seen({(domain, int(p)): int(offset) for domain, p, offset in parts})
    except (ValueError, binascii.Error, UnicodeDecodeError):
        raise Invalid.field(HEADER, "is not a consistency token") from None


def merge(
    first: Mapping[tuple[str, int], int], second: Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], int]:
    """Return what was seen by either."""
    merged = dict(first)
    for place, offset in second.items():
        merged[place] = max(offset, merged.get(place, -1))
    return merged
