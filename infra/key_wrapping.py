"""Keys under a key: how the keys of persons and of services are kept where others may look.

A key management service takes the place of the local master key by implementing ``KeyWrapper``.
"""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from events.errors import StreamHubError

_NONCE_BYTES = 12


class KeyNotUnwrapped(StreamHubError):
    """A stored key was wrapped under a master key that is not at hand."""

    code = "KEY_NOT_UNWRAPPED"


class KeyWrapper(Protocol):
    """Wraps keys for storage; ``context`` names what a key is for and must be the same again."""

    async def wrap(self, key: bytes, context: str) -> bytes:
        """Return what may be stored."""

    async def unwrap(self, wrapped: bytes, context: str) -> bytes:
        """Return the key.

        Raises:
            KeyNotUnwrapped: it was wrapped by another wrapper, or for another context.
        """


def derive_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes for one purpose from a secret of high entropy."""
    return hashlib.blake2b(secret.encode(), person=purpose.encode()[:16], digest_size=32).digest()


class LocalMasterKey:
    """Implements ``KeyWrapper`` by AES-256-GCM under a key derived from a secret of ours.

    ``former`` is the secret before a rotation: it opens what has not been wrapped anew yet, and
    never wraps. The stored form is nonce (12 bytes), ciphertext, tag; the context is associated
    data.
    """

    def __init__(self, secret: str, former: str = "") -> None:
        self._current = AESGCM(derive_key(secret, "person-keys"))
        self._openers = [self._current]
        if former:
            self._openers.append(AESGCM(derive_key(former, "person-keys")))

    async def wrap(self, key: bytes, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._current.encrypt(nonce, key, context.encode())

    async def unwrap(self, wrapped: bytes, context: str) -> bytes:
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        for opener in self._openers:
            try:
                return opener.decrypt(nonce, sealed, context.encode())
            except InvalidTag:
                continue
        raise KeyNotUnwrapped(
            f"the key of {context} was wrapped under another master key: is "
            "STREAMHUB_MASTER_KEY the right one, and STREAMHUB_MASTER_KEY_OLD the one before it?"
        )
