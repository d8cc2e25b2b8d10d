"""What workers report of a video, in whatever order it arrives."""

from __future__ import annotations

import pytest

from commands.videos import (
    MAX_TRANSCODE_ATTEMPTS,
    VIDEO,
    CompleteTranscode,
    FailTranscode,
    ReportTranscodeProgress,
    StartTranscode,
    VideoCommand,
)
from events.base import Event
from events.videos import (
    TranscodeFailed,
    TranscodeProgressed,
    TranscodeStarted,
    VideoDeleted,
    VideoFailed,
)
from tests.unit.commands.given import given
from tests.unit.commands.known_videos import CREATED, READY, REQUESTED, ready
from tests.unit.events import known
from tests.unit.events.known import ADA

PROCESSING: tuple[Event, ...] = (REQUESTED, CREATED)
COMPLETE = CompleteTranscode.model_validate({"video_id": known.VIDEO, **READY})
FAILED = VideoFailed(video_id=known.VIDEO, creator_id=ADA, code="MEDIA", message="No")
DELETED = VideoDeleted(video_id=known.VIDEO, creator_id=ADA)


def start(attempt: int) -> StartTranscode:
    return StartTranscode(video_id=known.VIDEO, attempt=attempt)


def started(attempt: int) -> TranscodeStarted:
    return TranscodeStarted(video_id=known.VIDEO, attempt=attempt)


def progress(attempt: int, fraction: float) -> ReportTranscodeProgress:
    return ReportTranscodeProgress(video_id=known.VIDEO, attempt=attempt, fraction=fraction)


def progressed(attempt: int, fraction: float) -> TranscodeProgressed:
    return TranscodeProgressed(video_id=known.VIDEO, attempt=attempt, fraction=fraction)


def fail(attempt: int, *, permanent: bool = False) -> FailTranscode:
    return FailTranscode(
        video_id=known.VIDEO, attempt=attempt, code="MEDIA", message="No", permanent=permanent
    )


def test_each_attempt_starts_once() -> None:
    told = given(VIDEO, *PROCESSING).when(start(1)).then(started(1))
    assert told == {"id": known.VIDEO, "status": "processing", "attempt": 1}
    given(VIDEO, *PROCESSING, started(1)).when(start(1)).then_nothing()
    given(VIDEO, *PROCESSING, started(1)).when(start(2)).then(started(2))
    given(VIDEO, *PROCESSING, started(2)).when(start(1)).then_nothing()


def test_progress_only_rises() -> None:
    video = given(VIDEO, *PROCESSING, started(1), progressed(1, 0.5))
    video.when(progress(1, 0.6)).then(progressed(1, 0.6))
    video.when(progress(1, 0.5)).then_nothing()
    video.when(progress(1, 0.4)).then_nothing()


def test_progress_of_another_attempt_is_not_told() -> None:
    given(VIDEO, *PROCESSING, started(2)).when(progress(1, 0.6)).then_nothing()
    given(VIDEO, *PROCESSING).when(progress(1, 0.6)).then_nothing()


def test_a_new_attempt_begins_at_nothing() -> None:
    again = given(VIDEO, *PROCESSING, started(1), progressed(1, 0.5), started(2))
    again.when(progress(2, 0.1)).then(progressed(2, 0.1))


def test_a_finished_transcode_makes_the_video_ready() -> None:
    told = given(VIDEO, *PROCESSING, started(1)).when(COMPLETE).then(ready())
    assert told["status"] == "ready"


@pytest.mark.parametrize("attempt", range(1, MAX_TRANSCODE_ATTEMPTS))
def test_a_failed_attempt_before_the_last_is_followed_by_another(attempt: int) -> None:
    failed = TranscodeFailed(video_id=known.VIDEO, attempt=attempt, code="MEDIA", message="No")
    told = given(VIDEO, *PROCESSING, started(attempt)).when(fail(attempt)).then(failed)
    assert told["status"] == "processing"


def test_the_last_attempt_decides() -> None:
    last = MAX_TRANSCODE_ATTEMPTS
    told = given(VIDEO, *PROCESSING, started(last)).when(fail(last)).then(FAILED)
    assert told["status"] == "failed"


def test_a_permanent_failure_needs_no_second_attempt() -> None:
    given(VIDEO, *PROCESSING, started(1)).when(fail(1, permanent=True)).then(FAILED)


@pytest.mark.parametrize(
    "end",
    [(), (REQUESTED, CREATED, DELETED), (*PROCESSING, ready()), (*PROCESSING, FAILED)],
    ids=["absent", "deleted", "ready", "failed"],
)
@pytest.mark.parametrize(
    "command",
    [start(2), progress(1, 0.9), COMPLETE, fail(1, permanent=True)],
    ids=["start", "progress", "complete", "fail"],
)
def test_what_comes_after_the_end_changes_nothing(
    end: tuple[Event, ...], command: VideoCommand
) -> None:
    given(VIDEO, *end).when(command).then_nothing()


def test_an_upload_that_was_never_confirmed_is_not_transcoded() -> None:
    given(VIDEO, REQUESTED).when(start(1)).then_refused("VIDEO_NOT_FOUND")
