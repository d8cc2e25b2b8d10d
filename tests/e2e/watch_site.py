"""The watch page on a small application: real page, playlists and storage; videos kept in memory.

The answers are the API's own models, so that what the page reads has the shape of the real ones.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import uvicorn
from fastapi import FastAPI, Request

from commands.endpoints.engagement import LikeAnswer, Recorded, WatchBody
from commands.endpoints.users import Following
from events.errors import NotFound, Unauthenticated
from events.users import Role
from events.videos import VideoStatus, Visibility
from infra.http import watch
from infra.http.errors import install_error_handlers
from infra.http.middleware import RequestMiddleware
from infra.media_links import HmacMediaLinks
from infra.s3.storage import S3Storage
from query_api import media
from query_api.cards import Creator
from query_api.comments import Comment
from query_api.users import Profile
from query_api.videos import FailureReason, StreamUrl, VideoDetail
from schemas.http.envelope import Envelope

CREATOR = Creator(id="0198c0de-0000-7000-8000-00000000c0de", username="ada", avatar=None)
THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFE = timedelta(hours=1)


@dataclass
class Site:
    """What the application knows, for tests to change and to look at.

    The playlist route takes it for its services, of which it uses ``media`` and ``links``.
    """

    media: S3Storage
    token: str
    videos: dict[str, VideoDetail] = field(default_factory=dict)
    failures: dict[str, FailureReason] = field(default_factory=dict)
    comments: dict[str, list[Comment]] = field(default_factory=dict)
    views: list[tuple[str, WatchBody]] = field(default_factory=list)
    liked: set[str] = field(default_factory=set)
    following: bool = False
    links_given: int = 0
    links: HmacMediaLinks = field(default_factory=lambda: HmacMediaLinks(secrets.token_bytes(32)))

    def add(self, video_id: str, **changes: object) -> None:
        """Put a video; ``changes`` are fields of ``VideoDetail``."""
        self.videos[video_id] = _VIDEO.model_copy(update={"id": video_id, **changes})

    def expire_links(self) -> None:
        """Make all playlist links that were given out worthless."""
        self.links = HmacMediaLinks(secrets.token_bytes(32))

    def video(self, video_id: UUID) -> VideoDetail:
        try:
            return self.videos[str(video_id)]
        except KeyError:
            raise NotFound("No such video", code="VIDEO_NOT_FOUND") from None

    def knows(self, request: Request) -> bool:
        """Say whether the owner is calling; a token that is not the owner's is refused."""
        authorization = request.headers.get("authorization")
        if authorization is not None and authorization != f"Bearer {self.token}":
            raise Unauthenticated("Authentication required")
        return authorization is not None


_VIDEO = VideoDetail(
    id="",
    title="A pan across a pattern",
    description="First line\nSecond line",
    tags=["pattern", "test"],
    category="education",
    visibility=Visibility.PUBLIC,
    status=VideoStatus.READY,
    progress=1.0,
    thumbnail=None,
    duration=12.0,
    resolution="1280x720",
    codec="h264",
    bitrate=1_000_000,
    format="mp4",
    file_size=1_000_000,
    views=1233,
    likes=1,
    comments=2,
    shares=0,
    creator=CREATOR,
    uploaded_at=THEN,
    created_at=THEN,
    processed_at=THEN,
    stream_url=None,
)


def comment(text: str, *, replies: int = 0) -> Comment:
    return Comment(
        id="0198c0de-0000-7000-8000-000000000001",
        video_id="0198c0de-0000-7000-8000-000000000002",
        parent_comment_id=None,
        text=text,
        author=CREATOR,
        likes=0,
        reply_count=replies,
        is_edited=False,
        is_deleted=False,
        is_hidden=False,
        created_at=THEN,
        updated_at=THEN,
    )


def create_site(site: Site, cache_dir: Path) -> FastAPI:
    """Return the application."""
    app = FastAPI()
    app.include_router(watch.router)
    app.include_router(media.router)
    install_error_handlers(app)
    app.add_middleware(RequestMiddleware, max_body_bytes=100_000)
    watch.install_watch_page(app, cache_dir, site.media.download_url("any", LIFE))
    app.state.queries = site
    _add_queries(app, site)
    _add_commands(app, site)
    return app


def _add_queries(app: FastAPI, site: Site) -> None:
    @app.get("/api/v1/videos/{video_id}")
    async def video(video_id: UUID, request: Request) -> Envelope[VideoDetail]:
        owns = site.knows(request)
        update = {
            "liked": owns and str(video_id) in site.liked,
            "failure": site.failures.get(str(video_id)) if owns else None,
        }
        return Envelope(data=site.video(video_id).model_copy(update=update))

    @app.get("/api/v1/videos/{video_id}/stream-url")
    async def stream_url(video_id: UUID) -> Envelope[StreamUrl]:
        link = site.links.sign(str(video_id), LIFE)
        site.links_given += 1
        # Another host than the page's: what clients of the real API may get as well.
        url = f"http://media.invalid/media/{link.token}/{video_id}/master.m3u8"
        return Envelope(data=StreamUrl(url=url, expires_at=link.expires_at))

    @app.get("/api/v1/videos/{video_id}/comments")
    async def comments(video_id: UUID) -> Envelope[list[Comment]]:
        return Envelope(data=site.comments.get(str(video_id), []))

    @app.get("/api/v1/users/{user_id}")
    async def user(user_id: UUID, request: Request) -> Envelope[Profile]:
        following = site.knows(request) and site.following
        return Envelope(data=_profile(user_id, following=following))


def _profile(user_id: UUID, *, following: bool) -> Profile:
    return Profile(
        id=str(user_id),
        username="ada",
        avatar=None,
        bio=None,
        role=Role.CREATOR,
        total_views=0,
        total_uploads=0,
        follower_count=int(following),
        following_count=0,
        is_following=following,
        created_at=THEN,
    )


def _add_commands(app: FastAPI, site: Site) -> None:
    @app.post("/api/v1/videos/{video_id}/view", status_code=201)
    async def view(video_id: UUID, body: WatchBody) -> Envelope[Recorded]:
        site.views.append((str(video_id), body))
        known = site.video(video_id)
        site.add(str(video_id), **{**dict(known), "views": known.views + 1})
        return Envelope(data=Recorded(video_id=str(video_id), recorded=True))

    @app.api_route("/api/v1/videos/{video_id}/like", methods=["POST", "DELETE"])
    async def like(video_id: UUID, request: Request) -> Envelope[LikeAnswer]:
        _require(site, request)
        liked = request.method == "POST"
        site.liked = {str(video_id)} if liked else set()
        return Envelope(data=LikeAnswer(video_id=str(video_id), liked=liked))

    @app.api_route("/api/v1/users/{user_id}/follow", methods=["POST", "DELETE"])
    async def follow(user_id: UUID, request: Request) -> Envelope[Following]:
        _require(site, request)
        site.following = request.method == "POST"
        return Envelope(data=Following(user_id=str(user_id), following=site.following))


def _require(site: Site, request: Request) -> None:
    if not site.knows(request):
        raise Unauthenticated("Authentication required")


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port, in a thread; give its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
