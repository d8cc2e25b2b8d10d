"""Files of a deleted video go, those of others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from events.errors import Unavailable
from events.videos import VideoDeleted
from processors import reactions
from processors.remove_deleted_media import RemoveDeletedMedia
from schemas.media_keys import ladder_key, source_key
from tests.unit.events.known import ADA, VIDEO, recorded
from tests.unit.processors.world import MemoryFiles

DELETED = recorded(VideoDeleted(video_id=VIDEO, creator_id=ADA))
OTHERS = [source_key(f"{VIDEO}0"), ladder_key(f"{VIDEO}0", "master.m3u8")]


@pytest.fixture
def files(tmp_path: Path) -> MemoryFiles:
    film = tmp_path / "film"
    film.write_bytes(b"a film")
    files = MemoryFiles(tmp_path / "objects")
    names = ("master.m3u8", "360p.m3u8", "360p_000.ts", "thumbnail.jpg")
    for key in (source_key(VIDEO), *(ladder_key(VIDEO, name) for name in names), *OTHERS):
        files.put(key, film)
    return files


async def test_upload_and_ladder_go(files: MemoryFiles) -> None:
    await RemoveDeletedMedia(files).react(DELETED)
    assert await files.keys("") == sorted(OTHERS)


async def test_it_can_be_done_twice(files: MemoryFiles) -> None:
    rule = RemoveDeletedMedia(files)
    await rule.react(DELETED)
    await rule.react(DELETED)
    assert await files.keys("") == sorted(OTHERS)


async def test_storage_that_is_away_is_waited_for(
    files: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "FIRST_RETRY_S", 0.001)
    remove, away = files.remove, [Unavailable("S3 is away")] * 3

    async def remove_later(key: str) -> None:
        if away:
            raise away.pop()
        await remove(key)

    monkeypatch.setattr(files, "remove", remove_later)
    await RemoveDeletedMedia(files).react(DELETED)
    assert away == []
    assert await files.keys("") == sorted(OTHERS)
