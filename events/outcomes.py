"""What became of a command: as immutable as the events that followed from it.

Outcomes stand in ``outcomes.<domain>``, one for each command that was decided, refusals and
commands that changed nothing included.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from events.base import Event, Id
from events.errors import DomainError, ErrorKind, FieldError, StreamHubError, domain_error

#: Not a domain of its own: every domain has a topic of outcomes.
DOMAIN = "outcomes"


class Refusal(BaseModel):
    """Why a command was refused."""

    model_config = ConfigDict(frozen=True)

    kind: ErrorKind
    code: str
    message: str
    details: tuple[FieldError, ...] = ()

    @classmethod
    def of(cls, error: StreamHubError) -> Refusal:
        return cls(kind=error.kind, code=error.code, message=error.message, details=error.details)

    def error(self) -> DomainError:
        """Return the error that was raised when the command was decided."""
        return domain_error(self.kind, self.code, self.message, self.details)


class Position(BaseModel):
    """Where the log of a domain stood when a command was decided: ``offset`` is the last event's.

    It is -1 while the partition holds no event.
    """

    model_config = ConfigDict(frozen=True)

    domain: str
    partition: int
    offset: int


class CommandDecided(Event):
    """A command was decided; ``answer`` is what its client was told, free of personal data."""

    name = "command.decided"
    domain = DOMAIN

    command_id: Id
    command_type: str
    fingerprint: str
    stream: str
    stream_version: int
    event_count: int
    answer: dict[str, Any]
    refusal: Refusal | None
    position: Position
    time: datetime
    actor_id: Id | None


EVENTS: tuple[type[Event], ...] = (CommandDecided,)
