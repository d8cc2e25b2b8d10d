"""bcrypt, off the event loop (SH-25: cost 12)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import bcrypt

#: Hashing takes a core for a quarter of a second; more threads than cores help nobody.
_THREADS = 2


class BcryptPasswords:
    """Implements ``commands.services.Passwords``."""

    def __init__(self, cost: int) -> None:
        self._cost = cost
        self._pool = ThreadPoolExecutor(_THREADS, "bcrypt")
        # Verifying against it takes as long as against a real hash: no answer tells by its time
        # whether an account exists.
        self._decoy = bcrypt.hashpw(b"decoy", bcrypt.gensalt(cost))

    async def hash(self, password: str) -> str:
        loop = asyncio.get_running_loop()
        hashed = await loop.run_in_executor(
            self._pool, lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._cost))
        )
        return hashed.decode()

    async def verify(self, password: str, password_hash: str | None) -> bool:
        stored = password_hash.encode() if password_hash else self._decoy
        loop = asyncio.get_running_loop()
        try:
            right = await loop.run_in_executor(
                self._pool, bcrypt.checkpw, password.encode(), stored
            )
        except ValueError:
            return False
        return right and password_hash is not None
