"""A key ring in memory that is as strict as the real one."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class MemoryKeyRing:
    """Implements ``events.privacy.KeyRing``: what was not loaded is an error."""

    def __init__(self, *person_ids: str) -> None:
        self._kept = {person: AESGCM(AESGCM.generate_key(256)) for person in person_ids}
        self._loaded: dict[str, AESGCM | None] = {}

    @classmethod
    def loaded(cls, *person_ids: str) -> MemoryKeyRing:
        """Return a ring whose keys were loaded already."""
        ring = cls(*person_ids)
        ring._loaded.update(ring._kept)
        return ring

    @classmethod
    def loaded_without(cls, *person_ids: str) -> MemoryKeyRing:
        """Return a ring that knows of these persons that their keys are gone."""
        ring = cls()
        ring._loaded.update(dict.fromkeys(person_ids))
        return ring

    def for_reader(self) -> MemoryKeyRing:
        """Return a ring over the same keys into which nothing was loaded yet."""
        ring = MemoryKeyRing()
        ring._kept = self._kept
        return ring

    async def load(self, person_ids: Iterable[str]) -> None:
        for person in person_ids:
            self._loaded.setdefault(person, self._kept.get(person))

    async def create(self, person_id: str) -> None:
        self._kept.setdefault(person_id, AESGCM(AESGCM.generate_key(256)))
        self._loaded[person_id] = self._kept[person_id]

    def cipher(self, person_id: str) -> AESGCM | None:
        return self._loaded[person_id]

    def destroy(self, person_id: str) -> None:
        """Forget the person."""
        self._kept.pop(person_id, None)
        self._loaded[person_id] = None
