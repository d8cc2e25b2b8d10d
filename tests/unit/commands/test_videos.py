"""Videos: upload, description, moderation, end."""

from __future__ import annotations

from typing import Any

import pytest

from commands.videos import (
    VIDEO,
    BlockVideo,
    CreateVideo,
    DeleteVideo,
    RequestUpload,
    UnblockVideo,
    UpdateVideo,
)
from events.base import Event
from events.users import Role
from events.videos import (
    VideoBlocked,
    VideoDeleted,
    VideoFailed,
    VideoUnblocked,
    VideoUpdated,
    Visibility,
)
from tests.unit.commands.given import given
from tests.unit.commands.known_videos import CREATED, REQUESTED, ready
from tests.unit.events import known
from tests.unit.events.known import ADA, BEN, LATER

REQUEST = RequestUpload(
    video_id=known.VIDEO,
    owner_id=ADA,
    filename="harbour.mp4",
    content_type="video/mp4",
    size=5_000,
    source_key="uploads/harbour/source",
    expires_at=LATER,
)
DELETED = VideoDeleted(video_id=known.VIDEO, creator_id=ADA)
BLOCKED = VideoBlocked(video_id=known.VIDEO, creator_id=ADA, reason="nsfw")
UNBLOCKED = VideoUnblocked(video_id=known.VIDEO, creator_id=ADA)
FAILED = VideoFailed(video_id=known.VIDEO, creator_id=ADA, code="X", message="No")
BLOCK = BlockVideo(video_id=known.VIDEO, reason="nsfw")
UNBLOCK = UnblockVideo(video_id=known.VIDEO)


def create(creator_id: str = ADA) -> CreateVideo:
    return CreateVideo(
        video_id=known.VIDEO,
        creator_id=creator_id,
        title="The harbour",
        description="At dawn",
        tags=("boats",),
        category="travel",
        visibility=Visibility.PUBLIC,
    )


def update(actor_id: str = ADA, role: Role = Role.VIEWER, **changes: Any) -> UpdateVideo:
    return UpdateVideo.model_validate(
        {"video_id": known.VIDEO, "actor_id": actor_id, "actor_role": role, **changes}
    )


def delete(actor_id: str = ADA, role: Role = Role.VIEWER) -> DeleteVideo:
    return DeleteVideo(video_id=known.VIDEO, actor_id=actor_id, actor_role=role)


def test_an_upload_is_requested_once() -> None:
    told = given(VIDEO).when(REQUEST).then(REQUESTED)
    assert told == {"id": known.VIDEO, "status": "awaiting_upload", "attempt": 0}
    given(VIDEO, REQUESTED).when(REQUEST).then_refused("UPLOAD_EXISTS")
    given(VIDEO, REQUESTED, CREATED, DELETED).when(REQUEST).then_refused("UPLOAD_EXISTS")


def test_a_video_is_created_from_its_upload() -> None:
    told = given(VIDEO, REQUESTED).when(create()).then(CREATED)
    assert told["status"] == "processing"


def test_only_its_owner_confirms_an_upload() -> None:
    given(VIDEO, REQUESTED).when(create(BEN)).then_refused("VIDEO_NOT_FOUND")
    given(VIDEO).when(create()).then_refused("VIDEO_NOT_FOUND")


@pytest.mark.parametrize("end", [(), (ready(),), (FAILED,)], ids=["processing", "ready", "failed"])
def test_an_upload_is_confirmed_once(end: tuple[Event, ...]) -> None:
    given(VIDEO, REQUESTED, CREATED, *end).when(create()).then_refused("VIDEO_ALREADY_CREATED")


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "The old harbour"},
        {"description": ""},
        {"tags": ()},
        {"category": "boats"},
        {"visibility": Visibility.PRIVATE},
        {"title": "The old harbour", "tags": ("a", "b")},
    ],
    ids="+".join,
)
def test_an_edit_records_what_changed_and_nothing_else(changes: dict[str, Any]) -> None:
    expected = VideoUpdated.model_validate({"video_id": known.VIDEO, "creator_id": ADA, **changes})
    given(VIDEO, REQUESTED, CREATED).when(update(**changes)).then(expected)


def test_an_edit_without_a_change_adds_nothing() -> None:
    given(VIDEO, REQUESTED, CREATED).when(update()).then_nothing()


def test_owner_and_admin_edit_and_delete_a_video_nobody_else() -> None:
    video = given(VIDEO, REQUESTED, CREATED, ready())
    edited = VideoUpdated(video_id=known.VIDEO, creator_id=ADA, title="The old harbour")
    video.when(update(BEN, Role.ADMIN, title="The old harbour")).then(edited)
    video.when(update(BEN, Role.CREATOR, title="No")).then_refused("PERMISSION_DENIED")
    assert video.when(delete()).then(DELETED)["status"] == "deleted"
    video.when(delete(BEN, Role.ADMIN)).then(DELETED)
    video.when(delete(BEN, Role.CREATOR)).then_refused("PERMISSION_DENIED")


@pytest.mark.parametrize(
    "before",
    [(), (REQUESTED,), (REQUESTED, CREATED, DELETED)],
    ids=["absent", "awaiting upload", "deleted"],
)
def test_who_asks_for_a_video_that_is_not_there_is_told(before: tuple[Event, ...]) -> None:
    given(VIDEO, *before).when(update(title="No")).then_refused("VIDEO_NOT_FOUND")
    given(VIDEO, *before).when(delete()).then_refused("VIDEO_NOT_FOUND")


def test_a_deleted_video_is_not_created_again() -> None:
    given(VIDEO, REQUESTED, CREATED, DELETED).when(create()).then_refused("VIDEO_NOT_FOUND")


def test_a_video_is_blocked_and_unblocked_once_each() -> None:
    given(VIDEO, REQUESTED, CREATED).when(BLOCK).then(BLOCKED)
    given(VIDEO, REQUESTED, CREATED, BLOCKED).when(BLOCK).then_nothing()
    given(VIDEO, REQUESTED, CREATED, BLOCKED).when(UNBLOCK).then(UNBLOCKED)
    given(VIDEO, REQUESTED, CREATED).when(UNBLOCK).then_nothing()


def test_a_block_outlives_processing() -> None:
    given(VIDEO, REQUESTED, CREATED, BLOCKED, ready()).when(BLOCK).then_nothing()


def test_moderation_of_a_video_that_is_gone_ends_quietly() -> None:
    given(VIDEO).when(BLOCK).then_nothing()
    given(VIDEO, REQUESTED, CREATED, DELETED).when(UNBLOCK).then_nothing()


def test_moderation_before_the_upload_is_confirmed_is_refused() -> None:
    given(VIDEO, REQUESTED).when(BLOCK).then_refused("VIDEO_NOT_FOUND")
