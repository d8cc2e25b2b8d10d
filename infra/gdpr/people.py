"""Who is meant, and what the log holds of them."""

from __future__ import annotations

from uuid import UUID

from events.codec import decode_all
from events.errors import LogError, NotFound
from events.privacy import KeyRing
from infra.bootstrap.core import Core
from infra.gdpr.traces import Traces
from infra.kafka.replay import replay
from infra.postgres.sink import store_errors
from schemas.catalogue import DOMAINS


async def person_named(core: Core, user: str) -> str:
    """Return the id of the person with this id, email or username.

    An id is believed even where no account shows it: an erasure that was interrupted is resumed
    by it.

    Raises:
        NotFound: no account has that email or username.
    """
    try:
        return str(UUID(user))
    except ValueError:
        pass
    async with store_errors():
        found = await core.pool.fetchval(
            "SELECT id FROM users WHERE created_at IS NOT NULL "
            "AND (lower(email) = lower($1) OR lower(username) = lower($1))",
            user,
        )
    if found is None:
        raise NotFound(f"No account has the id, email or username {user}", code="USER_NOT_FOUND")
    return str(found)


async def traces_of(core: Core, keys: KeyRing, person_id: str, since_ms: int = 0) -> Traces:
    """Return what the log holds of a person since a time (ms since 1970).

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    traces = Traces(person_id)
    async for records in replay(core.places.kafka, [d.events for d in DOMAINS], since_ms):
        for record in records:
            if not traces.concern(record):
                continue
            await keys.load(record.persons())
            try:
                for recorded in decode_all(record, keys):
                    traces.take(recorded)
            except LogError:
                # Indigestible here as for every reader; its ciphertext goes dark with the key.
                continue
    return traces
