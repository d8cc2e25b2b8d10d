"""StreamHub whole, on given servers, for a benchmark: its four processes and people who use it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import httpx
import psutil

from commands.envelope import CommandEnvelope
from commands.videos import CompleteTranscode, CreateVideo, RequestUpload
from events import clock
from events.base import Command
from events.videos import Rendition, Visibility
from infra.app_processes import start_app
from infra.bootstrap.core import open_core
from infra.everything import apply_all_topics
from infra.kafka.bus import KafkaCommandBus
from infra.models import prepare_models
from infra.settings import Settings
from infra.supervisor.client import SupervisorClient
from infra.web_assets import prepare_web_assets

_FIRST_READ_TRIES = 100
_SETTING_OF = {
    "kafka": "STREAMHUB_KAFKA_BOOTSTRAP",
    "postgres": "STREAMHUB_POSTGRES_URL",
    "redis": "STREAMHUB_REDIS_URL",
    "clickhouse": "STREAMHUB_CLICKHOUSE_URL",
    "opensearch": "STREAMHUB_OPENSEARCH_URL",
    "s3": "STREAMHUB_S3_URL",
}


class NotPopulated(RuntimeError):
    """StreamHub did not take the people in that a benchmark needs."""


@dataclass(slots=True)
class System:
    """A running StreamHub: its URL, its processes, a video and tokens of those who like it."""

    settings: Settings
    url: str
    processes: Mapping[str, psutil.Process]
    videos: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that each process has used so far."""
        return {
            name: process.cpu_times().user + process.cpu_times().system
            for name, process in self.processes.items()
        }


def environment(servers: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """Return the settings of a StreamHub on these servers with its files in a folder."""
    return MappingProxyType(
        {
            **{_SETTING_OF[name]: url for name, url in servers.items()},
            "STREAMHUB_DATA_DIR": str(folder),
            "STREAMHUB_JWT_SECRET": secrets.token_urlsafe(32),
            "STREAMHUB_MASTER_KEY": secrets.token_urlsafe(32),
            "STREAMHUB_RATE_LIMIT_EXEMPT": "127.0.0.0/8",
            "STREAMHUB_BCRYPT_COST": "4",
            "STREAMHUB_LOG_LEVEL": "warning",
        }
    )


@asynccontextmanager
async def whole_system(
    servers: Mapping[str, str], folder: Path, people: int, videos: int
) -> AsyncIterator[System]:
    """Start everything, sign people up, publish videos; stop it all at the end."""
    os.environ.update(environment(servers, folder))
    settings = Settings()
    await apply_all_topics(settings)
    prepare_models(settings.cache_dir / "models")
    prepare_web_assets(settings.cache_dir)
    url = start_app(settings, lambda _name: None)
    supervisor = SupervisorClient(settings.data_dir)
    try:
        found = {s.name: psutil.Process(s.pid) for s in supervisor.status() if s.pid}
        system = System(settings, url, found)
        await populate(system, people, videos)
        yield system
    finally:
        supervisor.shutdown()


async def populate(system: System, people: int, videos: int) -> None:
    """Sign people up and publish videos of the last of them."""
    async with httpx.AsyncClient(base_url=f"{system.url}/api/v1", timeout=60.0) as client:
        owner_id = ""
        for number in range(people):
            name = f"bench{number}_{secrets.token_hex(4)}"
            account = {"email": f"{name}@example.org", "password": "correct horse"}
            answer = await client.post("/auth/register", json={**account, "username": name})
            owner_id = _data(answer)["id"]
            system.tokens.append(await _sign_in(client, account))
    await _publish(system, owner_id, videos)


async def _sign_in(client: httpx.AsyncClient, account: Mapping[str, str]) -> str:
    """Return an access token; the first reads after a start may come before read models run."""
    answer = await client.post("/auth/login", json=account)
    for _ in range(_FIRST_READ_TRIES):
        if answer.status_code != 503:
            break
        await asyncio.sleep(0.5)
        answer = await client.post("/auth/login", json=account)
    token: str = _data(answer)["accessToken"]
    return token


def _data(answer: httpx.Response) -> dict[str, str]:
    """Return what an answer holds; raises ``NotPopulated``, which says what was wrong."""
    found: dict[str, str] | None = answer.json()["data"]
    if not found:
        raise NotPopulated(f"{answer.request.url}: {answer.status_code} {answer.text}")
    return found


async def _publish(system: System, owner_id: str, videos: int) -> None:
    """Make videos ready by the commands that the upload and the transcoder would send."""
    async with open_core(system.settings) as core:
        bus = KafkaCommandBus(core.places.kafka, core.keys, 30.0)
        await bus.start()
        await core.keys.load([owner_id])
        try:
            for _ in range(videos):
                video_id = clock.new_id()
                for command in _publication(video_id, owner_id):
                    command_id = clock.new_id()
                    await bus.send(
                        CommandEnvelope(command, command_id, clock.now(), command_id, command_id)
                    )
                system.videos.append(video_id)
        finally:
            await bus.stop()


def _publication(video_id: str, owner_id: str) -> tuple[Command, ...]:
    return (
        RequestUpload(
            video_id=video_id,
            owner_id=owner_id,
            filename="film.mp4",
            content_type="video/mp4",
            size=1,
            source_key=f"uploads/{video_id}/source",
            expires_at=clock.now(),
        ),
        CreateVideo(
            video_id=video_id,
            creator_id=owner_id,
            title="A film to like",
            description="",
            tags=(),
            category="general",
            visibility=Visibility.PUBLIC,
        ),
        CompleteTranscode(
            video_id=video_id,
            duration_seconds=60.0,
            width=640,
            height=360,
            codec="h264",
            bitrate=800_000,
            format="mp4",
            file_size=6_000_000,
            master_key=f"videos/{video_id}/master.m3u8",
            thumbnail_key=f"videos/{video_id}/thumbnail.jpg",
            renditions=(
                Rendition(
                    quality="360p",
                    width=640,
                    height=360,
                    bitrate=800_000,
                    file_size=6_000_000,
                    playlist_key=f"videos/{video_id}/360p.m3u8",
                ),
            ),
        ),
    )
