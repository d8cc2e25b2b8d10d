"""The consistency token: an opaque text that says how much of the log its holder has seen.

It comes with every command's answer (header ``Consistency-Token``); a query that carries it waits
until the projections that it reads have applied that much. Tokens merge: the answer's token holds
whatever the request's token held.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import NewType

from events.errors import Invalid

HEADER = "Consistency-Token"
PREFERENCE = "Prefer"
APPLIED = "Preference-Applied"
#: A query waits no longer than this, whatever it is asked for.
WAIT_MAX_S = 30.0
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


def wanted_wait(preferences: Iterable[str]) -> float | None:
    """Return the seconds that ``Prefer: wait=…`` asks for, or None where it does not.

    RFC 7240, section 4.3. What is no preference of ours is passed over, as the RFC wants it; more
    than ``WAIT_MAX_S`` is cut to that.
    """
    for line in preferences:
        for preference in line.split(","):
            name, _, value = preference.partition(";")[0].partition("=")
            seconds = value.strip().strip('"')
            if name.strip().lower() == "wait" and seconds.isdecimal():
                return min(float(seconds), WAIT_MAX_S)
    return None


def merge(
    first: Mapping[tuple[str, int], int], second: Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], int]:
    """Return what was seen by either."""
    merged = dict(first)
    for place, offset in second.items():
        merged[place] = max(offset, merged.get(place, -1))
    return merged
