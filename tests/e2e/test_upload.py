"""A film from the presigned URL to playable HLS, and films that cannot become one."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from processors.media.clips import ClipOptions, make_clip
from schemas.media_keys import media_prefixes
from tests.support.api import Person, video_in_state
from tests.support.videos import Backstage, upload
from tests.support.waiting import eventually

_READY_S = 240.0


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
async def test_a_film_becomes_playable(person: Person, tmp_path: Path, suffix: str) -> None:
    """SH-45, SH-105..115: segments, master, thumbnail and metadata, by the worker alone."""
    film = tmp_path / f"film{suffix}"
    codec = "libx264" if suffix == ".mp4" else "libvpx"
    make_clip(film, 5.0, 640, 360, options=ClipOptions(video_codec=codec, encoder_options=()))
    made = await upload(person, film)
    assert made.status == 201
    video = await video_in_state(person, made.data["id"], "ready", _READY_S)
    assert (video["resolution"], video["progress"]) == ("640x360", 1.0)
    assert 4.9 <= video["duration"] <= 5.1
    assert [stream["quality"] for stream in video["streams"]] == ["360p"]
    picture = await person.api.raw("GET", video["thumbnail"])
    assert picture.content.startswith(b"\xff\xd8")
    url = (await person.get(f"/videos/{video['id']}/stream-url")).data["url"]
    master = await person.api.raw("GET", url)
    assert "RESOLUTION=640x360" in master.text
    variant = await person.api.raw("GET", url.replace("master", "360p"))
    segments = [line for line in variant.text.splitlines() if line and not line.startswith("#")]
    assert len(segments) == 2
    first = await person.api.raw("GET", segments[0], headers={"Range": "bytes=0-187"})
    assert (first.status_code, first.content[:1]) == (206, b"\x47")
    with av.open(url) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert 149 <= frames <= 151


async def test_a_deleted_film_leaves_no_files(
    person: Person, tmp_path: Path, backstage: Backstage
) -> None:
    """SH-35: whoever kept a link has nothing to play, neither a playlist nor a segment."""
    film = tmp_path / "film.mp4"
    make_clip(film, 1.0, 160, 90, fps=10)
    video_id = (await upload(person, film)).data["id"]
    await video_in_state(person, video_id, "ready", _READY_S)
    url = (await person.get(f"/videos/{video_id}/stream-url")).data["url"]
    variant = await person.api.raw("GET", url.replace("master", "360p"))
    segment = next(line for line in variant.text.splitlines() if line and line[0] != "#")
    assert (await person.api.raw("GET", segment)).status_code == 200
    storage = backstage.core.storage

    async def files() -> list[str]:
        return [key for prefix in media_prefixes(video_id) for key in await storage.keys(prefix)]

    assert len(await files()) == 5
    await person.delete(f"/videos/{video_id}")

    async def gone() -> bool:
        return await files() == []

    await eventually("no file of the film is left", gone)
    assert [(await person.api.raw("GET", link)).status_code for link in (url, segment)] == [404] * 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"this is no film" * 100, "MEDIA_NOT_A_VIDEO"),
        (b"", "MEDIA_EMPTY_FILE"),
    ],
)
async def test_what_is_no_film_fails_with_a_reason_for_its_owner(
    person: Person, other: Person, body: bytes, code: str
) -> None:
    """SH-114: the owner reads why, others do not, and the worker goes on."""
    made = await upload(person, body)
    video = await video_in_state(person, made.data["id"], "failed", _READY_S)
    assert video["failure"]["code"] == code
    other.saw(person.seen)
    assert (await other.get(f"/videos/{video['id']}")).data["failure"] is None
