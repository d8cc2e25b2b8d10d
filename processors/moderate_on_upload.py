"""A confirmed upload is looked at: sampled frames through the image model, the score to the log."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from commands.moderation import RecordScore
from events.base import Recorded
from events.moderation import ModerationAction, SubjectType
from events.videos import VideoCreated
from processors.moderation.errors import UnreadableMedia
from processors.moderation.video import VideoModerator
from processors.ports import CommandSender, MediaFiles
from processors.reactions import Reaction, patiently

log = structlog.get_logger(__name__)

MODEL = "image"


@dataclass(frozen=True, slots=True)
class ModerateOnUpload:
    """The rule with what it needs."""

    files: MediaFiles
    commands: CommandSender
    moderator: VideoModerator
    scratch: Path

    def reaction(self) -> Reaction:
        return Reaction("moderate_on_upload", (VideoCreated,), self.react)

    async def react(self, recorded: Recorded) -> None:
        """Score the upload; what cannot be looked at is left to transcoding to refuse."""
        event = recorded.event
        if not isinstance(event, VideoCreated):
            return
        with tempfile.TemporaryDirectory(prefix="moderate-", dir=self.scratch) as folder:
            source = Path(folder) / "source"
            if not await patiently(lambda: self.files.download(event.source_key, source)):
                return
            try:
                result = await asyncio.to_thread(self.moderator.moderate, source)
            except UnreadableMedia as error:
                log.info("video_not_moderated", video_id=event.video_id, reason=error.code)
                return
        command = RecordScore(
            subject_id=event.video_id,
            subject_type=SubjectType.VIDEO,
            video_id=event.video_id,
            model=MODEL,
            score=round(result.nsfw_score, 6),
            flagged=result.flagged,
            action=ModerationAction(result.action.value),
        )
        await self.commands.decide(command, recorded, "score")
