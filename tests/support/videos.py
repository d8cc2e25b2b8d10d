"""Videos that are ready without transcoding, and real uploads.

The quick way puts the commands that the API and the transcoder would send on the real log, side by
side in one batch, so that nothing can come between them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from commands.engagement import ShareVideo
from commands.envelope import CommandEnvelope
from commands.videos import CompleteTranscode, CreateVideo, RequestUpload
from events import clock
from events.base import Command
from events.engagement import VideoShared
from events.outcomes import CommandDecided
from events.videos import Rendition, Visibility
from infra.bootstrap.core import Core, open_core
from infra.kafka.bus import KafkaCommandBus
from infra.settings import Settings
from projections.trending import WEIGHTS, WINDOWS
from schemas.http import consistency
from schemas.http.paging import MAX_LIMIT
from tests.support.api import Answer, Person

_HOUR = timedelta(hours=1)


class Backstage:
    """The log and the stores from inside: what processors and operators reach."""

    def __init__(self, core: Core, bus: KafkaCommandBus) -> None:
        self.core = core
        self.bus = bus

    async def decide(self, command: Command, for_whom: Person | None = None) -> CommandDecided:
        """Have a command decided that no route sends, and let a person know; never refused."""
        command_id = clock.new_id()
        envelope = CommandEnvelope(command, command_id, clock.now(), command_id, command_id)
        outcome = await self.bus.send(envelope)
        assert outcome.refusal is None, outcome.refusal
        if for_whom is not None:
            place = outcome.position
            for_whom.saw(consistency.encode({(place.domain, place.partition): place.offset}))
        return outcome

    async def ready_video(self, person: Person, **described: Any) -> str:
        """Make a video of the person's that can be liked, found and listed; return its id."""
        video_id = clock.new_id()
        await self.core.keys.load([person.id])
        await self.decide(_upload(video_id, person.id))
        outcomes = await asyncio.gather(
            self.decide(_create(video_id, person.id, described), person),
            self.decide(completed(video_id, described.get("duration", 60.0)), person),
        )
        assert [outcome.event_count for outcome in outcomes] == [1, 1]
        return video_id

    async def let_trend(self, video_id: str, person: Person) -> None:
        """Have a video shared until it is among the first of each window, whatever else was."""
        lists = [
            (await person.get("/analytics/trending", window=window, limit=MAX_LIMIT)).data
            for window in WINDOWS
        ]
        last = max(scores[-1]["score"] if len(scores) == MAX_LIMIT else 0.0 for scores in lists)
        share = ShareVideo(video_id=video_id, creator_id=person.id, user_id=None, channel="mail")
        # Twice that much: its bucket may be nearly over, and is worth less by then.
        for _ in range(4 + int(2 * last / WEIGHTS[VideoShared])):
            await self.decide(share, person)


@contextlib.asynccontextmanager
async def open_backstage(settings: Settings) -> AsyncIterator[Backstage]:
    """Connect to the log and the stores."""
    async with open_core(settings) as core:
        bus = KafkaCommandBus(core.places.kafka, core.keys, 20.0)
        await bus.start()
        try:
            yield Backstage(core, bus)
        finally:
            await bus.stop()


def _upload(video_id: str, owner_id: str) -> RequestUpload:
    return RequestUpload(
        video_id=video_id,
        owner_id=owner_id,
        filename="film.mp4",
        content_type="video/mp4",
        size=1,
        source_key=f"uploads/{video_id}/source",
        expires_at=clock.now() + _HOUR,
    )


def _create(video_id: str, creator_id: str, described: dict[str, Any]) -> CreateVideo:
    return CreateVideo(
        video_id=video_id,
        creator_id=creator_id,
        title=described.get("title", "A quiet afternoon"),
        description=described.get("description", "Nothing happens."),
        tags=tuple(described.get("tags", ("quiet",))),
        category=described.get("category", "general"),
        visibility=Visibility(described.get("visibility", "public")),
    )


def completed(video_id: str, duration_seconds: float) -> CompleteTranscode:
    """Return what a transcoder reports of a film of 640x360."""
    folder = f"videos/{video_id}"
    return CompleteTranscode(
        video_id=video_id,
        duration_seconds=duration_seconds,
        width=640,
        height=360,
        codec="h264",
        bitrate=900_000,
        format="mp4",
        file_size=1_000_000,
        master_key=f"{folder}/master.m3u8",
        thumbnail_key=f"{folder}/thumbnail.jpg",
        renditions=(
            Rendition(
                quality="360p",
                width=640,
                height=360,
                bitrate=800_000,
                file_size=900_000,
                playlist_key=f"{folder}/360p.m3u8",
            ),
        ),
    )


DESCRIPTION = {
    "title": "A day at the harbour",
    "description": "Waves and a lighthouse.",
    "tags": ["harbour", "sea"],
    "category": "travel",
    "visibility": "public",
}


async def put_file(url: str, content: bytes, content_type: str = "video/mp4") -> int:
    """Put a file straight into object storage, as clients do; return the status."""
    async with httpx.AsyncClient(timeout=60.0) as storage:
        response = await storage.put(url, content=content, headers={"Content-Type": content_type})
    return response.status_code


async def upload(person: Person, film: Path | bytes, **described: Any) -> Answer:
    """Upload a film the way clients do and describe it; return the answer to the description."""
    content = film if isinstance(film, bytes) else await asyncio.to_thread(film.read_bytes)
    ticket = await person.post(
        "/videos/upload-url",
        {"filename": "film.mp4", "contentType": "video/mp4", "size": max(1, len(content))},
    )
    assert ticket.status == 201, ticket
    assert await put_file(ticket.data["uploadUrl"], content) == 200
    body = {**DESCRIPTION, **described, "videoId": ticket.data["videoId"]}
    return await person.post("/videos", body)
