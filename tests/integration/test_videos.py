"""Uploads, videos, lists and where to play them, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, Person
from tests.support.videos import Backstage

UPLOAD = {"filename": "film.mp4", "contentType": "video/mp4", "size": 1000}


def described(video_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "videoId": video_id,
        "title": "A day at the harbour",
        "description": "Waves and <b>a lighthouse</b>.",
        "tags": ["harbour", "sea"],
        "category": "travel",
        "visibility": "public",
        **changes,
    }


async def uploaded(person: Person, body: bytes = b"not a film") -> str:
    """Return the id of an upload whose file is in object storage."""
    ticket = (await person.post("/videos/upload-url", UPLOAD)).data
    headers = {"Content-Type": "video/mp4"}
    answer = await person.api.raw("PUT", ticket["uploadUrl"], content=body, headers=headers)
    assert answer.status_code == 200
    return str(ticket["videoId"])


async def test_an_upload_goes_straight_to_storage(person: Person) -> None:
    """SH-29, SH-30: a presigned PUT that is good for an hour."""
    answer = await person.post("/videos/upload-url", UPLOAD, key="once")
    assert answer.status == 201
    assert set(answer.data) == {"videoId", "uploadUrl", "expiresAt"}
    assert "X-Amz-Expires=3600" in answer.data["uploadUrl"]
    again = await person.post("/videos/upload-url", UPLOAD, key="once")
    assert again.data == answer.data
    sent = await person.api.raw(
        "PUT", answer.data["uploadUrl"], content=b"x", headers={"Content-Type": "video/mp4"}
    )
    assert sent.status_code == 200


async def test_a_video_is_made_from_its_upload(person: Person, other: Person) -> None:
    """SH-31, SH-32, SH-33: confirmed once, by its owner, when the file is there."""
    ticket = (await person.post("/videos/upload-url", UPLOAD)).data
    early = await person.post("/videos", described(ticket["videoId"]))
    assert (early.status, early.code) == (422, "UPLOAD_MISSING")
    video_id = await uploaded(person)
    theirs = await other.post("/videos", described(video_id))
    assert (theirs.status, theirs.code) == (404, "VIDEO_NOT_FOUND")
    made = await person.post("/videos", described(video_id))
    assert made.status == 201
    assert made.data["status"] == "processing"
    video = (await person.get(f"/videos/{video_id}")).data
    assert video["description"] == "Waves and a lighthouse."
    assert video["creator"] == {"id": person.id, "username": person.username, "avatar": None}
    again = await person.post("/videos", described(video_id))
    assert (again.status, again.code) == (409, "VIDEO_ALREADY_CREATED")


async def test_a_post_without_a_video_id_opens_an_upload(person: Person) -> None:
    """SH-31: both orders of the upload are served."""
    body = described("")
    del body["videoId"]
    answer = await person.post("/videos", body)
    assert answer.status == 201
    assert answer.data["uploadUrl"].startswith("http")
    assert answer.data["status"] == "awaiting_upload"


async def test_only_owner_and_admins_edit_and_delete(
    person: Person, other: Person, video: str
) -> None:
    """SH-34, SH-35, SH-43, PN-36: others get a 403 and nothing changes."""
    refused = await other.put(f"/videos/{video}", {"title": "Mine now"})
    assert (refused.status, refused.code) == (403, "PERMISSION_DENIED")
    assert (await other.delete(f"/videos/{video}")).status == 403
    edited = await person.put(f"/videos/{video}", {"title": "A new title"})
    assert edited.status == 200
    assert (await person.get(f"/videos/{video}")).data["title"] == "A new title"
    gone = await person.delete(f"/videos/{video}")
    assert gone.data["status"] == "deleted"
    assert (await person.get(f"/videos/{video}")).code == "VIDEO_NOT_FOUND"


@pytest.mark.parametrize("visibility", ["public", "unlisted", "private"])
async def test_visibility_holds_everywhere(
    backstage: Backstage, person: Person, other: Person, visibility: str
) -> None:
    """SH-42: unlisted by link only, private for the owner only."""
    video = await backstage.ready_video(person)
    await person.put(f"/videos/{video}", {"visibility": visibility})
    other.saw(person.seen)
    found = await other.get(f"/videos/{video}")
    assert found.status == (404 if visibility == "private" else 200)
    assert (await person.get(f"/videos/{video}")).status == 200
    stream = await other.get(f"/videos/{video}/stream-url")
    assert stream.status == (404 if visibility == "private" else 200)
    theirs = await other.get(f"/users/{person.id}/videos")
    assert [entry["id"] for entry in theirs.data] == ([video] if visibility == "public" else [])
    mine = await person.get(f"/users/{person.id}/videos")
    assert [entry["id"] for entry in mine.data] == [video]
    liked = await other.post(f"/videos/{video}/like")
    assert liked.status == (404 if visibility == "private" else 200)


async def test_lists_are_filtered_and_sorted(backstage: Backstage, person: Person) -> None:
    """SH-13, SH-14, SH-48: filters combine, a leading minus is descending."""
    videos = [await backstage.ready_video(person) for _ in range(3)]
    for video, category in zip(videos, ("music", "music", "sport"), strict=True):
        await person.put(f"/videos/{video}", {"category": category, "title": f"About {category}"})
    await person.post(f"/videos/{videos[1]}/view")
    found = await person.get("/videos", category="music", ids=videos, sort="-views")
    assert [entry["id"] for entry in found.data] == [videos[1], videos[0]]
    rising = await person.get("/videos", ids=videos, sort="uploadedAt")
    assert [entry["id"] for entry in rising.data] == videos
    wrong = await person.get("/videos", sort="colour")
    assert (wrong.status, set(wrong.fields)) == (400, {"sort"})
    lost = await person.get("/videos", cursor="nonsense")
    assert (lost.status, set(lost.fields)) == (400, {"cursor"})


async def test_the_stream_url_is_signed(person: Person, video: str) -> None:
    """SH-36: a link that was tampered with opens nothing."""
    answer = await person.get(f"/videos/{video}/stream-url")
    assert answer.data["url"].endswith(f"{video}/master.m3u8")
    path = answer.data["url"].split("/media/")[1]
    forged = await person.api.raw("GET", f"/media/9{path}")
    assert forged.status_code == 403


async def test_tables_hold_what_the_model_names(backstage: Backstage, person: Person) -> None:
    """SH-117..125: tables, columns, counters and indexes of the relational model."""
    video = await backstage.ready_video(person)
    await person.post(f"/videos/{video}/like")
    wanted = {
        "users": "id username email password_hash role avatar_url bio created_at updated_at "
        "total_views total_uploads follower_count following_count",
        "videos": "id creator_id title description thumbnail_url video_url duration file_size "
        "format status visibility tags category uploaded_at processed_at view_count like_count "
        "comment_count share_count resolution codec bitrate",
        "video_streams": "video_id quality hls_url file_size bitrate resolution created_at",
        "likes": "user_id video_id created_at",
        "comments": "user_id video_id parent_comment_id text created_at updated_at is_edited "
        "is_deleted like_count reply_count",
        "comment_likes": "user_id comment_id",
        "comment_reports": "reporter_id comment_id reason",
        "subscriptions": "subscriber_id creator_id notifications_enabled subscribed_at",
    }
    rows = await backstage.core.pool.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema='public'"
    )
    for table, columns in wanted.items():
        found = {row["column_name"] for row in rows if row["table_name"] == table}
        assert set(columns.split()) <= found, table
    indexes = await backstage.core.pool.fetch("SELECT indexdef FROM pg_indexes")
    definitions = " ".join(row["indexdef"] for row in indexes if "videos__v" in row["indexdef"])
    for part in ("creator_id", "status", "visibility", "uploaded_at DESC", "gin", "view_count"):
        assert part in definitions


async def test_anonymous_callers_read_and_do_not_write(
    api: Api, person: Person, video: str
) -> None:
    """PN-35: public reads are open, the rest needs a token."""
    assert (await api.call("GET", f"/videos/{video}", seen=person.seen)).status == 200
    refused = await api.call("POST", f"/videos/{video}/like")
    assert (refused.status, refused.code) == (401, "AUTHENTICATION_ERROR")
    worthless = await api.call("POST", f"/videos/{video}/like", token="not.a.token")
    assert worthless.status == 401
