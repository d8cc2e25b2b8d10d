"""Both storages behave alike (IR-14): what is put is there, what is not is None."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from events import clock
from infra.s3.storage import FolderStorage, ObjectStorage, S3Storage
from tests.conftest import Servers


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, servers: Servers) -> ObjectStorage:
    if request.param == "folder":
        root = tmp_path / "storage"
        root.mkdir()
        return FolderStorage(root)
    return S3Storage(servers["s3"])


async def test_both_storages_keep_and_return_what_is_put(
    storage: ObjectStorage, tmp_path: Path
) -> None:
    film = tmp_path / "film.ts"
    film.write_bytes(b"G" * 1000)
    key = f"tests/{tmp_path.name}/film.ts"
    assert await storage.size(key) is None
    assert await storage.read(key) is None
    assert await storage.download(key, tmp_path / "none") is False
    await storage.upload(film, key)
    assert await storage.size(key) == 1000
    assert await storage.read(key) == film.read_bytes()
    assert await storage.download(key, tmp_path / "copy") is True
    assert (tmp_path / "copy").read_bytes() == film.read_bytes()
    assert await storage.keys(f"tests/{tmp_path.name}/") == [key]
    await storage.remove(key)
    await storage.remove(key)
    assert await storage.size(key) is None
    await storage.check()


async def test_a_link_is_the_same_for_a_while_and_good_for_its_life_at_least(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = timedelta(hours=4)
    storage = S3Storage(servers["s3"])
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(b"a picture")
    key = f"tests/{tmp_path.name}/picture.jpg"
    await storage.upload(picture, key)
    async with httpx.AsyncClient() as client:
        assert (await client.get(storage.download_url(key, life))).content == b"a picture"
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    links = []
    for minutes in (0, 59, 60):
        now = start + timedelta(minutes=minutes)
        monkeypatch.setattr(clock, "now", lambda now=now: now)
        links.append(storage.download_url(key, life))
        query = parse_qs(urlsplit(links[-1]).query)
        signed_at = datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z")
        expires_at = signed_at + timedelta(seconds=int(query["X-Amz-Expires"][0]))
        assert signed_at <= now, "refused by a server whose clock is right"
        assert expires_at >= now + life
    assert links[0] == links[1] != links[2]
    other = storage.download_url(f"{key}.other", life)
    assert urlsplit(other).path != urlsplit(links[0]).path
