"""Personal data in the log: each field is encrypted with a key of the person it speaks of.

A field is marked ``Annotated[str, Personal("user_id")]``, where ``user_id`` is the field of the
same message that names the person. In the log it stands as
``pii:1:<person id>:<base64url(nonce | ciphertext | tag)>`` (AES-256-GCM, 12-byte nonce, the
person's id as associated data). Destroying the key erases the person from history: what cannot
be decrypted any more reads as ``erased:<person id>``.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.base import Message

PREFIX = "pii:1:"
ERASED_PREFIX = "erased:"
_NONCE_BYTES = 12
_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Personal:
    """Marks a text field as personal data of the person that ``person_field`` names."""

    person_field: str


class KeyRing(Protocol):
    """Keys of persons, held in memory; ``load`` must have been awaited for each person first."""

    async def load(self, person_ids: Iterable[str]) -> None:
        """Fetch the keys of these persons that are not in memory yet."""

    async def create(self, person_id: str) -> None:
        """Make a key for a new person; does nothing where there is one."""

    def cipher(self, person_id: str) -> AESGCM | None:
        """Return the person's cipher, or None when the key was destroyed.

        Raises:
            KeyError: ``load`` was not awaited for this person.
        """


@cache
def personal_fields(message_type: type[Message]) -> Mapping[str, str]:
    """Return field name -> name of the field that holds the person's id."""
    return {
        name: mark.person_field
        for name, field in message_type.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Personal)
    }


def persons(message: Message) -> frozenset[str]:
    """Return the ids of the persons whose data stands in a message."""
    fields = personal_fields(type(message))
    if not fields:
        return _NOBODY
    return frozenset(
        getattr(message, person)
        for name, person in fields.items()
        if getattr(message, name) is not None
    )


def encrypt(message: Message, data: dict[str, Any], keys: KeyRing) -> None:
    """Replace the personal fields of ``data`` (the message as JSON values) by ciphertext.

    A person whose key is destroyed can have no new data either: the field is stored erased.
    """
    for name, person_field in personal_fields(type(message)).items():
        if data.get(name) is not None:
            person_id = data[person_field]
            data[name] = encrypt_text(data[name], person_id, keys)


def encrypt_text(text: str, person_id: str, keys: KeyRing) -> str:
    """Return the text as the log keeps it."""
    cipher = keys.cipher(person_id)
    if cipher is None:
        return ERASED_PREFIX + person_id
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + cipher.encrypt(nonce, text.encode(), person_id.encode())
    return f"{PREFIX}{person_id}:{urlsafe_b64encode(sealed).decode()}"


def decrypt_text(stored: str, keys: KeyRing) -> str:
    """Return the plain text of a stored field, or its erased form.

    Raises:
        ValueError, cryptography.exceptions.InvalidTag: the field was tampered with.
    """
    if not stored.startswith(PREFIX):
        return stored
    person_id, sealed_text = stored[len(PREFIX) :].split(":", 1)
    cipher = keys.cipher(person_id)
    if cipher is None:
        return ERASED_PREFIX + person_id
    sealed = urlsafe_b64decode(sealed_text)
    nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    return cipher.decrypt(nonce, body, person_id.encode()).decode()


def decrypt(message_type: type[Message], data: dict[str, Any], keys: KeyRing) -> None:
    """Replace the ciphertext in ``data`` by plain text, or by the erased form.

    What is no text stays: whoever validates the message refuses it.

    Raises:
        KeyError: the key of a person was not loaded.
        ValueError, cryptography.exceptions.InvalidTag: a field was tampered with.
    """
    for name in personal_fields(message_type):
        if isinstance(data.get(name), str):
            data[name] = decrypt_text(data[name], keys)


def persons_in_body(data: Mapping[str, Any]) -> frozenset[str]:
    """Return the persons whose ciphertext stands in a decoded JSON body."""
    return frozenset(
        value[len(PREFIX) :].split(":", 1)[0]
        for value in data.values()
        if isinstance(value, str) and value.startswith(PREFIX)
    )
