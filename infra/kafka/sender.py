"""Commands that follow from events, sent by processors over the command bus."""

from __future__ import annotations

from commands.envelope import CommandEnvelope
from commands.ports import OutcomePendingError
from events import clock
from events.base import Command, Recorded
from events.errors import Unavailable
from events.outcomes import CommandDecided
from events.privacy import KeyRing, persons
from infra.kafka.bus import KafkaCommandBus


class ReactionCommands:
    """Implements ``processors.ports.CommandSender``; ``reaction`` keeps rules' ids apart."""

    def __init__(self, bus: KafkaCommandBus, keys: KeyRing, reaction: str) -> None:
        self._bus = bus
        self._keys = keys
        self._reaction = reaction

    async def decide(self, command: Command, cause: Recorded, purpose: str) -> CommandDecided:
        try:
            return await self._bus.send(await self._envelope(command, cause, purpose))
        except OutcomePendingError as error:
            raise Unavailable(f"command {error.command_id} is not decided yet") from error

    async def send(self, command: Command, cause: Recorded, purpose: str) -> None:
        await self._bus.append(await self._envelope(command, cause, purpose))

    async def _envelope(self, command: Command, cause: Recorded, purpose: str) -> CommandEnvelope:
        await self._keys.load(persons(command))
        metadata = cause.metadata
        return CommandEnvelope(
            command=command,
            command_id=clock.id_from(self._reaction, metadata.event_id, purpose),
            time=clock.now(),
            correlation_id=metadata.correlation_id,
            causation_id=metadata.event_id,
            fingerprint=self._reaction,
            traceparent=metadata.traceparent,
        )
