"""Sessions that are open, and those whose tokens are worthless (Redis).

``session:<id>`` is a hash of ``userId``, ``device``, ``role`` as it was at sign-in, and
``expiresAt``; ``revoked:<id>`` holds the reason. Both go when the session would have ended, so that
nothing needs to be swept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from events import clock
from events.base import Recorded
from events.sessions import SessionRevoked, SessionStarted
from projections.declaration import Change, Projection, RedisCommand, Store, Table

SESSION = Table(
    name="session",
    columns={"userId": "uuid", "device": "text", "role": "text", "expiresAt": "RFC 3339"},
    key=("session_id",),
    options={"published": True},
)
REVOKED = Table(
    name="revoked",
    columns={"reason": "text"},
    key=("session_id",),
    options={"published": True},
)


def evolve(recorded: Recorded) -> Iterable[Change]:
    event = recorded.event
    match event:
        case SessionStarted():
            key = f"session:{event.session_id}"
            yield RedisCommand(("HSET", key, *_fields(event)))
            yield RedisCommand(("PEXPIREAT", key, _milliseconds(event.expires_at)))
        case SessionRevoked():
            ends = _milliseconds(event.expires_at)
            yield RedisCommand(("DEL", f"session:{event.session_id}"))
            yield RedisCommand(("SET", f"revoked:{event.session_id}", event.reason, "PXAT", ends))


def _fields(event: SessionStarted) -> tuple[str, ...]:
    fields = {
        "userId": event.user_id,
        "device": event.device,
        "role": event.role.value,
        "expiresAt": clock.to_text(event.expires_at),
    }
    return tuple(word for pair in fields.items() for word in pair)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


SESSIONS = Projection(
    name="sessions",
    version=1,
    store=Store.REDIS,
    events=(SessionStarted, SessionRevoked),
    evolve=evolve,
    tables=(SESSION, REVOKED),
)
