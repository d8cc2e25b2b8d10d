"""Texts of a person in the decrypted log, and which of them other people use as well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from events.codec import LogRecord
from events.privacy import PREFIX, KeyRing, decrypt_text, persons_in_body
from infra.gdpr.needles import Finding, Needles, leaves
from infra.kafka.replay import replay
from schemas.catalogue import topics

_PREFIX = PREFIX.encode()
#: These belong to one person only; anything else may be what anybody would write.
UNMISTAKABLE = frozenset(
    {"user.registered.email", "user.registered.username", "user.registered.password_hash"}
)


@dataclass(slots=True)
class LogSearch:
    """What a pass over the whole log found.

    ``shared`` holds the texts that stand in the words of other people, or in plain parts of
    records that have nothing to do with the person: finding them elsewhere proves nothing.
    """

    person_id: str
    needles: Needles
    records: int = 0
    shared: set[str] = field(default_factory=set)
    _plain: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def findings(self) -> list[Finding]:
        """Return where texts of the person can still be read."""
        return [
            Finding(place, ", ".join(self.needles.kinds[text]))
            for text, places in self._plain.items()
            if text not in self.shared
            for place in places
        ]

    def look(self, record: LogRecord, keys: KeyRing) -> None:
        """Look into a record; the keys of its persons are loaded."""
        self.records += 1
        if _PREFIX in record.value:
            for text in self._words(_json(record.value), keys):
                self.shared.update(self.needles.in_text(text))
        if not self.needles.may_be_in(_raw(record)):
            return
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers.items()}
        found = self.needles.in_value([_json(record.value), headers, record.key])
        if found:
            self._note(found, record, self._concerns(record))

    def _words(self, body: Any, keys: KeyRing) -> list[str]:
        """Return what people wrote in a body, as far as their keys exist."""
        return [
            text
            for leaf in leaves(body)
            if leaf.startswith(PREFIX)
            for text in [_read(leaf, keys)]
            if text and not text.startswith(PREFIX)
        ]

    def _concerns(self, record: LogRecord) -> bool:
        person = self.person_id
        named = (person.encode() in value for value in record.headers.values())
        return record.key == person or person.encode() in record.value or any(named)

    def _note(self, found: set[str], record: LogRecord, concerns: bool) -> None:
        source = record.source
        place = f"log {source.topic}/{source.partition}/{record.offset}"
        for text in found:
            if concerns or UNMISTAKABLE.intersection(self.needles.kinds[text]):
                self._plain[text].append(place)
            else:
                self.shared.add(text)


def _raw(record: LogRecord) -> str:
    """Return all that a record says, as it is written."""
    whole = b"\n".join((record.value, *record.headers.values()))
    return f"{record.key}\n{whole.decode('utf-8', 'replace')}"


async def search_log(bootstrap: str, keys: KeyRing, person_id: str, needles: Needles) -> LogSearch:
    """Look through every committed record of every topic of the catalogue.

    Raises:
        Unavailable: Kafka cannot be reached.
    """
    search = LogSearch(person_id, needles)
    async for records in replay(bootstrap, [topic.name for topic in topics()]):
        await keys.load(_persons(records))
        for record in records:
            search.look(record, keys)
    return search


def _persons(records: Sequence[LogRecord]) -> set[str]:
    persons: set[str] = set()
    for record in records:
        persons.update(record.persons())
        body = _json(record.value) if _PREFIX in record.value else None
        if isinstance(body, dict):
            persons |= persons_in_body(body)
    return persons


def _json(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _read(stored: str, keys: KeyRing) -> str | None:
    """Return the plain text of a field, or nothing where it cannot be read."""
    try:
        return decrypt_text(stored, keys)
    except Exception:  # noqa: BLE001 - a field that anybody may have tampered with
        return None
