"""Both storages behave alike (IR-14): what is put is there, what is not is None."""

from __future__ import annotations

from pathlib import Path

import pytest

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
