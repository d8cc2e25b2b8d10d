"""What reactions need of the world, in memory: commands are really decided, files really lie."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from commands.aggregate import StreamState
from commands.router import ROUTER
from events import clock
from events.base import Command, Event, Recorded
from events.errors import Unavailable
from events.outcomes import CommandDecided, Position
from tests.unit.events.known import NOW


class MemoryCommands:
    """Implements ``processors.ports.CommandSender``: each command is decided once."""

    def __init__(self, *facts: Event) -> None:
        self.events: list[Event] = []
        self.sent: list[tuple[Command, str]] = []
        self.away_for: list[type[Command]] = []
        self._streams: dict[str, StreamState] = {}
        self._outcomes: dict[str, CommandDecided] = {}
        for fact in facts:
            self._fold(f"video-{getattr(fact, 'video_id', '')}", fact)

    async def decide(self, command: Command, cause: Recorded, purpose: str) -> CommandDecided:
        if type(command) in self.away_for:
            self.away_for.remove(type(command))
            raise Unavailable("Kafka is away")
        command_id = clock.id_from(cause.metadata.event_id, purpose)
        if command_id not in self._outcomes:
            self._outcomes[command_id] = self._decide(command, command_id)
            self.sent.append((command, purpose))
        return self._outcomes[command_id]

    async def send(self, command: Command, cause: Recorded, purpose: str) -> None:
        await self.decide(command, cause, purpose)

    def commands(self) -> Sequence[Command]:
        """Return what was decided, in its order."""
        return [command for command, _ in self.sent]

    def _decide(self, command: Command, command_id: str) -> CommandDecided:
        aggregate, stream = ROUTER.for_command(command), command.stream()
        before = self._streams.get(stream, StreamState(0, aggregate.initial))
        events = aggregate.decide(command, before.state)
        for event in events:
            self._fold(stream, event)
            self.events.append(event)
        after = self._streams.get(stream, before)
        return CommandDecided(
            command_id=command_id,
            command_type=command.stored_name(),
            fingerprint="test",
            stream=stream,
            stream_version=after.version,
            event_count=len(events),
            answer=aggregate.answer(command, after.state),
            refusal=None,
            position=Position(domain=command.domain, partition=0, offset=len(self.events)),
            time=NOW,
            actor_id=None,
        )

    def _fold(self, stream: str, event: Event) -> None:
        aggregate = ROUTER.for_event(event)
        before = self._streams.get(stream, StreamState(0, aggregate.initial))
        state = aggregate.evolve(before.state, event)
        self._streams[stream] = StreamState(before.version + 1, state)


class MemoryFiles:
    """Implements ``processors.ports.MediaFiles`` over a folder; ``errors`` are raised first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.errors: list[Exception] = []
        self.uploaded: list[str] = []
        self.downloads = 0

    def put(self, key: str, source: Path) -> None:
        target = self.folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

    async def download(self, key: str, target: Path) -> bool:
        self.downloads += 1
        if self.errors:
            raise self.errors.pop(0)
        if not (self.folder / key).exists():
            return False
        shutil.copyfile(self.folder / key, target)
        return True

    async def upload(self, source: Path, key: str) -> None:
        self.put(key, source)
        self.uploaded.append(key)

    async def keys(self, prefix: str) -> list[str]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        found = (path.relative_to(self.folder).as_posix() for path in files)
        return sorted(key for key in found if key.startswith(prefix))

    async def remove(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)
