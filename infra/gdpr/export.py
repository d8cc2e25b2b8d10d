"""All that is held of a person, for the person: a ZIP of JSON files, one a kind.

``events/<domain>.json`` is every event that the person caused or that holds data of theirs, in the
order of the log; ``profile.json`` what the account shows now; ``media.json`` the files in object
storage with their sizes in bytes.
"""

from __future__ import annotations

import asyncio
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events import clock
from events.base import Recorded
from events.codec import LogRecord, decode_all
from events.errors import LogError, NotFound
from events.privacy import KeyRing
from infra.bootstrap.core import Core
from infra.gdpr.traces import Traces
from infra.kafka.replay import replay
from infra.postgres.sink import store_errors
from schemas.catalogue import DOMAINS

_PROFILE = (
    "SELECT id, username, email, role, avatar_url, bio, created_at, updated_at, total_views, "
    "total_uploads, follower_count, following_count FROM users "
    "WHERE id = $1 AND created_at IS NOT NULL"
)


class OnlyOne:
    """The keys of one person: what others wrote stays closed."""

    def __init__(self, keys: KeyRing, person_id: str) -> None:
        self._keys = keys
        self._person_id = person_id

    async def load(self, person_ids: Iterable[str]) -> None:
        """Fetch the person's key, whoever else is asked for."""
        if self._person_id in set(person_ids):
            await self._keys.load([self._person_id])

    async def create(self, person_id: str) -> None:
        """Nobody's data is written here."""

    def cipher(self, person_id: str) -> AESGCM | None:
        """Return the cipher of the one person, None for anybody else's."""
        return self._keys.cipher(person_id) if person_id == self._person_id else None


async def export_person(core: Core, person_id: str, target: Path) -> Mapping[str, int]:
    """Write the file; return how many entries each of its parts has.

    Raises:
        NotFound: the log knows no such person.
        Unavailable: a server is away.
    """
    keys = OnlyOne(core.keys, person_id)
    traces = Traces(person_id)
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    async for records in replay(core.places.kafka, [d.events for d in DOMAINS]):
        for record in records:
            if not _concerns(record, traces):
                continue
            await keys.load(record.persons())
            try:
                found = decode_all(record, keys)
            except LogError:
                continue
            for recorded in found:
                traces.take(recorded)
                kinds[f"events/{recorded.event.domain}.json"].append(_entry(recorded))
    if not kinds:
        raise NotFound(f"The log knows no user {person_id}", code="USER_NOT_FOUND")
    for entries in kinds.values():
        entries.sort(key=lambda entry: entry["time"])
    parts: dict[str, list[dict[str, Any]]] = {
        "profile.json": await _profile(core, person_id),
        **dict(sorted(kinds.items())),
        "media.json": await _media(core, traces),
    }
    await asyncio.to_thread(_write, target, parts)
    return {name: len(entries) for name, entries in parts.items()}


def _concerns(record: LogRecord, traces: Traces) -> bool:
    caused = record.headers.get("actor_id", b"") == traces.person_id.encode()
    return caused or traces.concern(record)


def _entry(recorded: Recorded) -> dict[str, Any]:
    return {
        "type": recorded.metadata.stored_name,
        "time": clock.to_text(recorded.metadata.time),
        "stream": recorded.metadata.stream,
        "data": recorded.event.model_dump(mode="json"),
    }


async def _profile(core: Core, person_id: str) -> list[dict[str, Any]]:
    async with store_errors():
        return [dict(row) for row in await core.pool.fetch(_PROFILE, person_id)]


async def _media(core: Core, traces: Traces) -> list[dict[str, Any]]:
    return [
        {"key": key, "bytes": await core.storage.size(key)}
        for prefix in traces.media_prefixes()
        for key in await core.storage.keys(prefix)
    ]


def _write(target: Path, parts: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write beside the target and move it there: a file of that name is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    draft.touch(mode=0o600)
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, entries in parts.items():
            archive.writestr(
                name, orjson.dumps(entries, option=orjson.OPT_INDENT_2, default=str) + b"\n"
            )
    draft.replace(target)
