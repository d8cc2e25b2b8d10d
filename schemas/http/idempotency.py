"""Idempotency keys: what is known of a request that a caller may send again.

Follows the IETF draft "The Idempotency-Key HTTP Header Field" (07): the same key with another
request is refused, one whose first try is still running is told so.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

HEADER = "Idempotency-Key"
#: Longest key that is accepted, in characters.
MAX_KEY_CHARACTERS = 255


class KeyState(Enum):
    """Whether a request with a key may go on."""

    FREE = auto()
    RUNNING = auto()
    OTHER_REQUEST = auto()


class IdempotencyKeys(Protocol):
    """Remembers which request a key came with first."""

    async def begin(self, command_id: str, fingerprint: str) -> KeyState:
        """Start a request: FREE when it is the first, or the first one has ended or died."""

    async def finish(self, command_id: str) -> None:
        """Note that the request's outcome is known."""

    async def is_finished(self, command_id: str, fingerprint: str) -> bool:
        """Say whether the outcome of just this request is known."""

    async def release(self, command_id: str) -> None:
        """Forget a request that came to nothing, so that its next try need not wait."""
