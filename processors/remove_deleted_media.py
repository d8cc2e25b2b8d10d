"""A deleted video leaves no files: neither what was uploaded nor the ladder that was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog

from events.base import Recorded
from events.videos import VideoDeleted
from processors.ports import MediaFiles
from processors.reactions import Reaction, patiently
from schemas.media_keys import media_prefixes

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RemoveDeletedMedia:
    """The rule with what it needs.

    A transcode that is under way meanwhile removes what it puts there later.
    """

    files: MediaFiles

    def reaction(self) -> Reaction:
        return Reaction("remove_deleted_media", (VideoDeleted,), self.react)

    async def react(self, recorded: Recorded) -> None:
        if isinstance(recorded.event, VideoDeleted):
            await remove_media(self.files, recorded.event.video_id)


async def remove_media(files: MediaFiles, video_id: str) -> None:
    """Remove all files of a video, however long object storage is away."""
    removed = 0
    for prefix in media_prefixes(video_id):
        for key in await patiently(partial(files.keys, prefix)):
            await patiently(partial(files.remove, key))
            removed += 1
    log.info("media_removed", video_id=video_id, files=removed)
