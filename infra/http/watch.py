"""The watch page: ``/watch/{video id}`` and the files that it is made of.

The page is static; it reads everything else through the API, so it can do nothing that another
client could not. Its policy lets it run our own scripts only, and reach only us and the storage.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import FileResponse, HTMLResponse

from events.errors import NotFound
from infra.web_assets import player_version, web_assets_folder

router = APIRouter(tags=["watch"], include_in_schema=False)

_STATIC = Path(__file__).parent / "static"
#: The files by name, with their types; hls.js comes from the cache.
_OURS = {
    "api.js": "text/javascript",
    "account.js": "text/javascript",
    "player.js": "text/javascript",
    "watch.js": "text/javascript",
    "watch.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_PLAYER = {"hls.min.js": "text/javascript", "hls.worker.js": "text/javascript"}
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@dataclass(frozen=True, slots=True)
class WatchPage:
    """The page as one process serves it.

    ``version`` names the files in their URLs and changes with any of them; ``policy`` is the page's
    Content-Security-Policy; ``player_folder`` is where hls.js lies.
    """

    html: str
    version: str
    policy: str
    player_folder: Path


def install_watch_page(app: FastAPI, cache_dir: Path, storage_url: str) -> None:
    """Let an application serve the page.

    ``storage_url`` is any URL under which browsers reach object storage, a presigned one included;
    only its origin is used.
    """
    version = _version()
    html = (_STATIC / "watch.html").read_text(encoding="utf-8").replace("{{version}}", version)
    policy = content_security_policy(origin_of(storage_url))
    app.state.watch_page = WatchPage(html, version, policy, web_assets_folder(cache_dir))


def origin_of(url: str) -> str:
    """Return scheme, host and port of a web URL, without credentials; "" for any other URL."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme in {"http", "https"} and host else ""


def content_security_policy(storage: str) -> str:
    """Return the policy of the page (CSP level 3); ``storage`` is an origin, or "" for none.

    hls.js feeds the video element by ``blob:`` and runs its worker from a file of ours.
    """
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "worker-src": "'self'",
        "connect-src": f"'self' {storage}",
        "img-src": f"'self' {storage}",
        "media-src": f"'self' blob: {storage}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}".rstrip() for name, value in directives.items())


def _version() -> str:
    digest = hashlib.sha256()
    for name in sorted(_OURS):
        digest.update((_STATIC / name).read_bytes())
    return f"{player_version()}-{digest.hexdigest()[:12]}"


def _page(request: Request) -> WatchPage:
    return cast("WatchPage", request.app.state.watch_page)


Page = Annotated[WatchPage, Depends(_page)]


@router.get("/watch/{video_id}")
async def watch(video_id: UUID, page: Page) -> HTMLResponse:
    """Return the page; it asks the API whether there is such a video."""
    return HTMLResponse(
        page.html.replace("{{video_id}}", str(video_id)),
        headers={"Content-Security-Policy": page.policy, "Cache-Control": _ASK_AGAIN},
    )


@router.get("/favicon.ico")
async def favicon(page: Page) -> FileResponse:
    """Return the page's icon to browsers that ask for it by its old name."""
    return _file(page, "icon.svg", _ASK_AGAIN)


@router.get("/static/{name}")
async def current_file(name: str, page: Page) -> FileResponse:
    """Return a file of the page as it is now, whatever its version."""
    return _file(page, name, _ASK_AGAIN)


@router.get("/static/{version}/{name}")
async def versioned_file(version: str, name: str, page: Page) -> FileResponse:
    """Return a file of the page; caches may keep the version that is asked for.

    A page that was loaded before an upgrade gets the new file, which it must not keep as the old.
    """
    return _file(page, name, _FOR_EVER if version == page.version else _ASK_AGAIN)


def _file(page: WatchPage, name: str, cache_control: str) -> FileResponse:
    media_type = {**_OURS, **_PLAYER}.get(name)
    path = (page.player_folder if name in _PLAYER else _STATIC) / name
    if media_type is None or not path.is_file():
        raise NotFound("No such file", code="FILE_NOT_FOUND")
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": cache_control})
