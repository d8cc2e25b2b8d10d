"""The main job, over HTTP, as clients do it: upload, transcode, watch, like, comment, follow.

Some requests are sent twice on purpose. At the end a table shows what the log and each of the
four stores hold of it, and that they agree.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from events.errors import StreamHubError
from infra.demo_tally import Tally, show_tally, tally
from infra.settings import Settings
from processors.media.clips import make_clip
from schemas.http import consistency

_CLIP_SECONDS = 12.0
_CLIP_SIZE = (1280, 720)
_READY_TIMEOUT_S = 1800.0
_POLL_S = 0.25
#: How long a request is sent again while the answer is that it comes too early.
_BUSY_S = 60.0


class DemoFailed(StreamHubError):
    """The main job did not end as it must."""

    code = "DEMO_FAILED"


def _address(url: str) -> str | None:
    """Return a loopback address to call from: people do not share one, and limits hold for each."""
    if httpx.URL(url).host != "127.0.0.1":
        return None
    return f"127.{secrets.randbelow(255) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"


class Client:
    """The API over HTTP, from an address of its own; carries each person's consistency token."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"{url}/api/v1",
            timeout=60.0,
            transport=httpx.AsyncHTTPTransport(local_address=_address(url)),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        who: Person | None = None,
        body: Mapping[str, Any] | None = None,
        key: str = "",
    ) -> Any:
        """Return the answer's data; a machine that is busy for a moment is asked again.

        Raises:
            DemoFailed: the answer was not a success.
        """
        headers = {"Idempotency-Key": key} if key else {}
        if who is not None:
            headers["Authorization"] = f"Bearer {who.token}"
            if who.seen:
                headers["Consistency-Token"] = who.seen
        give_up_at = time.monotonic() + _BUSY_S
        response = await self._http.request(method, path, headers=headers, json=body)
        # Nothing was done: the log was away, or a read model had not come far enough.
        while (
            response.status_code == HTTPStatus.SERVICE_UNAVAILABLE and time.monotonic() < give_up_at
        ):
            await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
            response = await self._http.request(method, path, headers=headers, json=body)
        if response.is_error:
            raise DemoFailed(f"{method} {path} -> {response.status_code}: {response.text[:300]}")
        if who is not None:
            who.seen = response.headers.get("Consistency-Token", who.seen)
        return response.json()["data"]

    async def put_file(self, url: str, film: Path, content_type: str) -> None:
        """Send a film straight to object storage."""
        async with httpx.AsyncClient(timeout=600.0) as storage:
            response = await storage.put(
                url, content=film.read_bytes(), headers={"Content-Type": content_type}
            )
            response.raise_for_status()


@dataclass(slots=True)
class Person:
    """Somebody who signed in; remembers what the log has shown them."""

    name: str
    id: str
    token: str
    client: Client
    seen: str = ""


@dataclass(slots=True)
class Story:
    """What was done, so that it can be compared with what the stores say."""

    people: list[Person] = field(default_factory=list)
    video_id: str = ""
    likes: int = 0
    comments: int = 0
    views: int = 0
    followers: int = 0
    shares: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, and what the log and each store hold of it."""

    url: str
    video_id: str
    done: Mapping[str, int]
    found: Tally

    @property
    def agrees(self) -> bool:
        """Whether every place shows what was done."""
        return self.found.agrees_with(self.done)

    def as_data(self) -> dict[str, Any]:
        """Return it as scripts read it."""
        return {
            "url": self.url,
            "videoId": self.video_id,
            "masterUrl": self.found.master_url,
            "done": self.done,
            "places": self.found.places,
            "agree": self.agrees,
        }


async def run_demo(settings: Settings, url: str, clip: Path | None, out: Console) -> Outcome:
    """Run the main job against a running StreamHub and print what came of it.

    Raises:
        DemoFailed: a step failed.
    """
    since_ms = int(time.time() * 1000)
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        film = clip or await _make_film(Path(folder), out)
        story = await _live_it(url, film, out)
    for person in story.people:
        await person.client.close()
    creator = story.people[0]
    found = await tally(settings, story.video_id, creator.id, creator.seen, url, since_ms)
    show_tally(expected(story), found, out)
    _show_urls(url, story, found, out)
    return Outcome(url, story.video_id, expected(story), found)


def expected(story: Story) -> Mapping[str, int]:
    """Return the counts that every store must show."""
    return {
        "views": story.views,
        "likes": story.likes,
        "comments": story.comments,
        "shares": story.shares,
        "followers": story.followers,
    }


async def _make_film(folder: Path, out: Console) -> Path:
    film = folder / "clip.mp4"
    out.print(f"making a clip of {_CLIP_SECONDS:.0f} s with sound")
    await asyncio.to_thread(make_clip, film, _CLIP_SECONDS, *_CLIP_SIZE)
    return film


async def _live_it(url: str, film: Path, out: Console) -> Story:
    story = Story(people=[await _sign_up(url, name) for name in ("ada", "ben", "cleo", "dan")])
    creator, *viewers = story.people
    out.print(f"{len(story.people)} people registered and signed in")
    story.video_id = await _upload(creator, film)
    out.print(f"uploaded {film.stat().st_size / 1e6:.1f} MB as video {story.video_id}")
    await _wait_until_ready(creator, story.video_id, out)
    for viewer in viewers:
        viewer.seen = creator.seen
    await asyncio.gather(*(_react(viewer, creator, story) for viewer in viewers))
    await _change_minds(viewers[-1], story)
    # Whatever the others have seen, the next reader has seen as well.
    for viewer in viewers:
        creator.seen = _newest(creator.seen, viewer.seen)
    out.print("liked, commented, viewed, shared and followed, with duplicates and retries")
    return story


def _newest(first: str, second: str) -> str:
    return consistency.encode(
        consistency.merge(consistency.decode(first), consistency.decode(second))
    )


async def _sign_up(url: str, name: str) -> Person:
    client = Client(url)
    suffix = secrets.token_hex(3)
    email, password = f"{name}.{suffix}@example.org", secrets.token_urlsafe(16)
    account = {"username": f"{name}_{suffix}", "email": email, "password": password}
    key = secrets.token_hex(8)
    user = await client.call("POST", "/auth/register", body=account, key=key)
    again = await client.call("POST", "/auth/register", body=account, key=key)
    if again["id"] != user["id"]:
        raise DemoFailed("a retried registration made a second account")
    tokens = await client.call("POST", "/auth/login", body={"email": email, "password": password})
    return Person(user["username"], user["id"], tokens["accessToken"], client)


async def _upload(creator: Person, film: Path) -> str:
    client = creator.client
    content_type = "video/mp4"
    size = film.stat().st_size
    ticket = await client.call(
        "POST",
        "/videos/upload-url",
        creator,
        {"filename": film.name, "contentType": content_type, "size": size},
    )
    await client.put_file(ticket["uploadUrl"], film, content_type)
    body = {
        "videoId": ticket["videoId"],
        "title": "A day at the harbour",
        "description": "Waves, a lighthouse and a clock that ticks each second.",
        "tags": ["harbour", "demo"],
        "category": "travel",
        "visibility": "public",
    }
    key = secrets.token_hex(8)
    video = await client.call("POST", "/videos", creator, body, key)
    await client.call("POST", "/videos", creator, body, key)
    return str(video["id"])


async def _wait_until_ready(who: Person, video_id: str, out: Console) -> None:
    columns = (TextColumn("transcoding"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out) as progress:
        task = progress.add_task("transcode", total=1.0)
        async with asyncio.timeout(_READY_TIMEOUT_S):
            while True:
                video = await who.client.call("GET", f"/videos/{video_id}", who)
                progress.update(task, completed=video["progress"])
                if video["status"] == "ready":
                    return
                if video["status"] == "failed":
                    raise DemoFailed(f"transcoding failed: {video['failure']}")
                await asyncio.sleep(_POLL_S)


async def _react(viewer: Person, creator: Person, story: Story) -> None:
    client = viewer.client
    video = f"/videos/{story.video_id}"
    watching = {"sessionId": viewer.id, "watchDuration": 9.5, "device": "demo", "country": "DE"}
    for _ in range(2):
        await client.call("POST", f"{video}/view", viewer, watching)
        await client.call("POST", f"{video}/like", viewer)
        await client.call("POST", f"/users/{creator.id}/follow", viewer)
    key = secrets.token_hex(8)
    said = {"videoId": story.video_id, "text": f"{viewer.name} was here, what a lovely light."}
    comment = await client.call("POST", "/comments", viewer, said, key)
    await client.call("POST", "/comments", viewer, said, key)
    await client.call("POST", f"/comments/{comment['id']}/reply", viewer, {"text": "And again."})
    await client.call("POST", f"{video}/share", viewer, {"channel": "link"})
    story.views += 1
    story.likes += 1
    story.followers += 1
    story.comments += 2
    story.shares += 1


async def _change_minds(viewer: Person, story: Story) -> None:
    """One of them takes the like back, twice."""
    for _ in range(2):
        await viewer.client.call("DELETE", f"/videos/{story.video_id}/like", viewer)
    story.likes -= 1


def _show_urls(url: str, story: Story, found: Tally, out: Console) -> None:
    out.print(f"\nAPI docs     {url}/docs")
    out.print(f"HLS master   {found.master_url}", soft_wrap=True)
    out.print(f"watch page   {url}/watch/{story.video_id}")
    out.print(f"health       {url}/health/detail")
