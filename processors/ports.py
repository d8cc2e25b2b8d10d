"""What reactions need of the world; ``infra`` implements it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from events.base import Command, Recorded, TopicPartition
from events.outcomes import CommandDecided


class ReactionPositions(Protocol):
    """How far each reaction is: the offset of the next record that it has not dealt with."""

    async def load(self, reaction: str) -> Mapping[TopicPartition, int]:
        """Return the positions of a reaction; raises StoreUnavailable."""

    async def save(self, reaction: str, source: TopicPartition, position: int) -> None:
        """Move a position on; raises StoreUnavailable."""


class CommandSender(Protocol):
    """Has commands decided that follow from an event.

    A command's id is made from the event's id and ``purpose``: reacting twice sends the same
    command, which is decided once.
    """

    async def decide(self, command: Command, cause: Recorded, purpose: str) -> CommandDecided:
        """Return the outcome, for as long as it takes; raises Unavailable."""

    async def send(self, command: Command, cause: Recorded, purpose: str) -> None:
        """Append the command and wait for nothing else; raises Unavailable."""


class MediaFiles(Protocol):
    """Object storage, by key."""

    async def download(self, key: str, target: Path) -> bool:
        """Write an object to a file; say whether it was there; raises Unavailable."""

    async def upload(self, source: Path, key: str) -> None:
        """Put a file; raises Unavailable."""

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix; raises Unavailable."""

    async def remove(self, key: str) -> None:
        """Remove an object; does nothing where there is none; raises Unavailable."""
