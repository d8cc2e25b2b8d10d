"""A confirmed upload is transcoded, whatever gets in the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from commands.videos import (
    CompleteTranscode,
    DeleteVideo,
    FailTranscode,
    ReportTranscodeProgress,
    StartTranscode,
)
from events.errors import Unavailable
from events.users import Role
from events.videos import (
    TranscodeFailed,
    TranscodeStarted,
    VideoDeleted,
    VideoFailed,
    VideoReady,
)
from processors import reactions, transcode_on_upload
from processors.media.clips import make_clip
from processors.media.options import TranscodeOptions
from processors.transcode_on_upload import TranscodeOnUpload
from tests.unit.commands.known_videos import CREATED, REQUESTED, ready
from tests.unit.events.known import ADA, VIDEO, recorded
from tests.unit.processors.world import MemoryCommands, MemoryFiles

UPLOADED = recorded(CREATED)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcode_on_upload, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(reactions, "FIRST_RETRY_S", 0.001)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    make_clip(path, 1.0, 160, 90, fps=10)
    return path


class Studio:
    """The rule with its world."""

    def __init__(self, folder: Path, commands: MemoryCommands | None = None) -> None:
        self.commands = commands or MemoryCommands(REQUESTED, CREATED)
        self.files = MemoryFiles(folder / "objects")
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        options = TranscodeOptions(preset="ultrafast", threads=1)
        self.rule = TranscodeOnUpload(self.files, self.commands, options, self.scratch)

    def upload(self, source: Path) -> None:
        self.files.put(CREATED.source_key, source)

    def attempts(self) -> Sequence[int]:
        return [c.attempt for c in self.commands.commands() if isinstance(c, StartTranscode)]


async def test_a_film_becomes_a_ladder_in_object_storage(tmp_path: Path, film: Path) -> None:
    studio = Studio(tmp_path)
    studio.upload(film)
    await studio.rule.react(UPLOADED)
    event = studio.commands.events[-1]
    assert isinstance(event, VideoReady)
    assert (event.creator_id, event.width, event.height) == (ADA, 160, 90)
    assert event.file_size == film.stat().st_size
    keys = {event.master_key, event.thumbnail_key, *(r.playlist_key for r in event.renditions)}
    assert keys <= set(studio.files.uploaded)
    assert all(key.startswith(f"videos/{VIDEO}/") for key in studio.files.uploaded)
    assert list(studio.scratch.iterdir()) == []


async def test_playlists_are_uploaded_after_what_they_name(tmp_path: Path, film: Path) -> None:
    studio = Studio(tmp_path)
    studio.upload(film)
    await studio.rule.react(UPLOADED)
    kinds = [key.endswith(".m3u8") for key in studio.files.uploaded]
    assert kinds == sorted(kinds)
    assert True in kinds
    assert False in kinds


async def test_kafka_away_at_the_end_does_not_transcode_again(tmp_path: Path, film: Path) -> None:
    studio = Studio(tmp_path)
    studio.upload(film)
    studio.commands.away_for = [StartTranscode, CompleteTranscode, CompleteTranscode]
    await studio.rule.react(UPLOADED)
    assert studio.files.downloads == 1
    assert studio.attempts() == [1]
    assert isinstance(studio.commands.events[-1], VideoReady)


async def test_a_film_that_is_deleted_meanwhile_leaves_nothing_behind(
    tmp_path: Path, film: Path
) -> None:
    studio = Studio(tmp_path)
    studio.upload(film)
    upload = studio.files.upload

    async def upload_and_delete(source: Path, key: str) -> None:
        await upload(source, key)
        gone = DeleteVideo(video_id=VIDEO, actor_id=ADA, actor_role=Role.VIEWER)
        if len(studio.files.uploaded) == 1:
            await studio.commands.decide(gone, UPLOADED, "delete")

    studio.files.upload = upload_and_delete  # type: ignore[method-assign]
    await studio.rule.react(UPLOADED)
    assert isinstance(studio.commands.events[-1], VideoDeleted)
    assert len(studio.files.uploaded) > 1
    assert await studio.files.keys(f"videos/{VIDEO}/") == []
    assert studio.attempts() == [1]


async def test_a_film_that_is_deleted_while_an_attempt_fails_leaves_nothing_behind(
    tmp_path: Path, film: Path
) -> None:
    studio = Studio(tmp_path)
    studio.upload(film)
    upload = studio.files.upload

    async def upload_some(source: Path, key: str) -> None:
        if studio.files.uploaded:
            gone = DeleteVideo(video_id=VIDEO, actor_id=ADA, actor_role=Role.VIEWER)
            await studio.commands.decide(gone, UPLOADED, "delete")
            raise OSError("the disk hiccuped")
        await upload(source, key)

    studio.files.upload = upload_some  # type: ignore[method-assign]
    await studio.rule.react(UPLOADED)
    assert isinstance(studio.commands.events[-1], VideoDeleted)
    assert len(studio.files.uploaded) == 1
    assert await studio.files.keys(f"videos/{VIDEO}/") == []


async def test_a_file_that_is_no_film_fails_at_once(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    text = tmp_path / "text"
    text.write_bytes(b"This is not a film. " * 100)
    studio.upload(text)
    await studio.rule.react(UPLOADED)
    assert studio.attempts() == [1]
    event = studio.commands.events[-1]
    assert isinstance(event, VideoFailed)
    assert event.code.startswith("MEDIA_")
    assert list(studio.scratch.iterdir()) == []


async def test_an_upload_that_is_gone_fails_at_once(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    await studio.rule.react(UPLOADED)
    event = studio.commands.events[-1]
    assert isinstance(event, VideoFailed)
    assert event.code == "MEDIA_SOURCE_MISSING"


async def test_an_error_that_may_pass_is_tried_three_times(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.files.errors = [OSError("the disk hiccuped")] * 3
    await studio.rule.react(UPLOADED)
    assert [type(event) for event in studio.commands.events] == [
        TranscodeStarted,
        TranscodeFailed,
        TranscodeStarted,
        TranscodeFailed,
        TranscodeStarted,
        VideoFailed,
    ]
    failed = studio.commands.events[-1]
    assert isinstance(failed, VideoFailed)
    assert failed.code == "TRANSCODE_FAILED"
    assert "hiccuped" not in failed.message


async def test_storage_that_is_away_uses_up_no_attempt(tmp_path: Path, film: Path) -> None:
    studio = Studio(tmp_path)
    studio.upload(film)
    studio.files.errors = [Unavailable("S3 is away")] * 5
    await studio.rule.react(UPLOADED)
    assert studio.attempts() == [1]
    assert isinstance(studio.commands.events[-1], VideoReady)


async def test_attempts_that_crashes_cut_short_count(tmp_path: Path, film: Path) -> None:
    started = [TranscodeStarted(video_id=VIDEO, attempt=attempt) for attempt in (1, 2)]
    studio = Studio(tmp_path, MemoryCommands(REQUESTED, CREATED, *started))
    studio.upload(film)
    await studio.rule.react(UPLOADED)
    assert isinstance(studio.commands.events[0], TranscodeStarted)
    assert studio.commands.events[0].attempt == 3
    assert isinstance(studio.commands.events[-1], VideoReady)


async def test_a_film_that_killed_three_workers_has_failed(tmp_path: Path) -> None:
    started = [TranscodeStarted(video_id=VIDEO, attempt=attempt) for attempt in (1, 2, 3)]
    studio = Studio(tmp_path, MemoryCommands(REQUESTED, CREATED, *started))
    await studio.rule.react(UPLOADED)
    [failed] = studio.commands.events
    assert isinstance(failed, VideoFailed)
    assert failed.code == "TRANSCODE_WORKER_LOST"
    assert studio.files.downloads == 0


@pytest.mark.parametrize(
    "end", [ready(), VideoDeleted(video_id=VIDEO, creator_id=ADA)], ids=["ready", "deleted"]
)
async def test_what_needs_no_transcode_gets_none(
    tmp_path: Path, end: VideoReady | VideoDeleted
) -> None:
    studio = Studio(tmp_path, MemoryCommands(REQUESTED, CREATED, end))
    await studio.rule.react(UPLOADED)
    assert studio.commands.events == []
    assert studio.files.downloads == 0


async def test_progress_is_told_in_steps(tmp_path: Path, film: Path) -> None:
    studio = Studio(tmp_path)
    studio.upload(film)
    await studio.rule.react(UPLOADED)
    told = [
        command.fraction
        for command in studio.commands.commands()
        if isinstance(command, ReportTranscodeProgress)
    ]
    assert told == sorted(told)
    assert all(0 < fraction < 1 for fraction in told)
    assert not any(isinstance(c, FailTranscode) for c in studio.commands.commands())


def test_the_rule_listens_to_confirmed_uploads(tmp_path: Path) -> None:
    reaction = Studio(tmp_path).rule.reaction(concurrency=2)
    assert (reaction.events, reaction.concurrency) == ((type(CREATED),), 2)
