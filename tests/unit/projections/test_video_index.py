from __future__ import annotations

import pytest

from events.base import Event
from events.engagement import VideoLiked, VideoUnliked
from events.users import UserErased, UserRegistered
from events.videos import (
    VideoBlocked,
    VideoCreated,
    VideoDeleted,
    VideoFailed,
    VideoReady,
    VideoUnblocked,
    VideoUpdated,
    Visibility,
)
from projections.declaration import Change, Increment, Put, RedisCommand
from projections.stamps import OFFSET, stamped
from projections.video_index import VIDEO_INDEX
from tests.unit.events.known import ADA, BEN, VIDEO, recorded
from tests.unit.projections.test_hot_counters import VIEWED


def changes(event: Event, offset: int = 7) -> list[Change]:
    return list(VIDEO_INDEX.evolve(recorded(event, offset)))


def video(**values: object) -> list[Change]:
    return [Put("videos", (VIDEO,), {**values, OFFSET: 7})]


def test_a_new_video_is_indexed_with_its_words() -> None:
    created = VideoCreated(
        video_id=VIDEO,
        creator_id=ADA,
        title="Harbour",
        description="Boats at dawn",
        tags=("sea", "boats"),
        category="travel",
        visibility=Visibility.UNLISTED,
        source_key="source",
    )
    assert changes(created) == video(
        id=VIDEO,
        creator_id=ADA,
        title="Harbour",
        description="Boats at dawn",
        tags=("sea", "boats"),
        category="travel",
        visibility=Visibility.UNLISTED,
        status="processing",
        upload_date="2026-03-01T09:30:00.000000Z",
    )


def test_an_edit_changes_only_what_was_edited() -> None:
    updated = VideoUpdated(video_id=VIDEO, creator_id=ADA, title="Harbour at dawn")
    assert changes(updated) == video(title="Harbour at dawn")


def test_a_ready_video_has_a_duration_in_whole_seconds() -> None:
    ready = VideoReady(
        video_id=VIDEO,
        creator_id=ADA,
        duration_seconds=61.7,
        width=1280,
        height=720,
        codec="h264",
        bitrate=1_000_000,
        format="mp4",
        file_size=1,
        master_key="master.m3u8",
        thumbnail_key="thumbnail.jpg",
        renditions=(),
    )
    assert changes(ready) == video(status="ready", duration=62, thumbnail="thumbnail.jpg")


@pytest.mark.parametrize(
    ("event", "values"),
    [
        (VideoFailed(video_id=VIDEO, creator_id=ADA, code="X", message="x"), {"status": "failed"}),
        (VideoBlocked(video_id=VIDEO, creator_id=ADA, reason="nsfw"), {"blocked": True}),
        (VideoUnblocked(video_id=VIDEO, creator_id=ADA), {"blocked": False}),
    ],
)
def test_what_becomes_of_a_video_is_noted(event: Event, values: dict[str, object]) -> None:
    assert changes(event) == video(**values)


def test_a_deleted_video_leaves_a_tombstone_without_words() -> None:
    assert changes(VideoDeleted(video_id=VIDEO, creator_id=ADA)) == video(
        deleted=True, status="deleted", title=None, description=None, tags=()
    )


@pytest.mark.parametrize(
    ("event", "amounts"),
    [
        (VIEWED, {"views": 1}),
        (VideoLiked(video_id=VIDEO, creator_id=ADA, user_id=BEN), {"likes": 1}),
        (VideoUnliked(video_id=VIDEO, creator_id=ADA, user_id=BEN), {"likes": -1}),
    ],
)
def test_counters_are_added_to(event: Event, amounts: dict[str, int]) -> None:
    assert changes(event) == [Increment("videos", (VIDEO,), {**amounts, OFFSET: 7})]


def test_a_creator_is_found_by_name_and_by_nothing_more_personal() -> None:
    registered = UserRegistered(
        user_id=ADA, username="ada", email="ada@example.org", password_hash="hash"
    )
    named = {"id": ADA, "creator_name": "ada", OFFSET: 7}
    assert changes(registered) == [Put("creators", (ADA,), named)]


def test_a_change_that_cannot_carry_its_offset_is_a_fault() -> None:
    evolve = stamped(lambda _: [RedisCommand(("DEL", "key"))])
    with pytest.raises(TypeError, match="RedisCommand cannot carry an offset"):
        list(evolve(recorded(VIEWED)))


def test_the_name_of_an_erased_creator_is_found_no_more() -> None:
    nameless = [Put("creators", (ADA,), {"creator_name": None, OFFSET: 7})]
    assert changes(UserErased(user_id=ADA)) == nameless
