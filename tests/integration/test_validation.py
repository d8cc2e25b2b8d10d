"""Wrong input names the field; nothing of it reaches the log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, Person, name
from tests.support.videos import DESCRIPTION

NOBODY = "00000000-0000-7000-8000-000000000000"


def register_body(**changes: Any) -> dict[str, Any]:
    username = name()
    body = {"username": username, "email": f"{username}@example.org", "password": "long enough"}
    return {**body, **changes}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", None),
        ("username", "ab"),
        ("username", "x" * 51),
        ("username", "no spaces"),
        ("username", 7),
        ("email", None),
        ("email", "no-at-sign"),
        ("email", f"{'x' * 250}@example.org"),
        ("password", None),
        ("password", "short"),
        ("password", "x" * 73),
    ],
)
async def test_registrations_are_checked(api: Api, field: str, value: Any) -> None:
    """SH-17, SH-150, PN-34: username to 50 characters, email to 255, a password."""
    body = register_body(**{field: value})
    if value is None:
        del body[field]
    answer = await api.call("POST", "/auth/register", body)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert answer.body["error"]["message"] == "Invalid input"
    assert list(answer.fields) == [field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", None),
        ("title", "ab"),
        ("title", "  a  "),
        ("title", "x" * 201),
        ("title", 5),
        ("title", "<b>bold</b> title"),
        ("title", "bell \u0007 rings"),
        ("description", "x" * 5001),
        ("tags", [f"tag{number}" for number in range(11)]),
        ("tags", "not a list"),
        ("tags.0", [""]),
        ("tags.1", ["fine", "x" * 51]),
        ("visibility", "secret"),
        ("category", "x" * 51),
        ("videoId", "not-a-uuid"),
        ("unknown", 1),
    ],
)
async def test_descriptions_of_videos_are_checked(
    bystander: Person, field: str, value: Any
) -> None:
    """SH-146, SH-147, SH-148, SH-150: limits of title, description, tags, visibility."""
    body: dict[str, Any] = {**DESCRIPTION, field.partition(".")[0]: value}
    if value is None:
        del body[field]
    answer = await bystander.post("/videos", body)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR"), answer
    assert list(answer.fields) == [field]
    assert answer.fields[field]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        (
            "POST",
            "/videos/upload-url",
            {"filename": "a", "contentType": "video/mp4", "size": 0},
            "size",
        ),
        (
            "POST",
            "/videos/upload-url",
            {"filename": "a", "contentType": "text/html", "size": 1},
            "contentType",
        ),
        ("POST", "/videos/upload-url", {"contentType": "video/mp4", "size": 1}, "filename"),
        ("PUT", f"/videos/{NOBODY}", {}, "body"),
        ("PUT", f"/videos/{NOBODY}", {"visibility": "hidden"}, "visibility"),
        ("POST", f"/videos/{NOBODY}/share", {"channel": "Not A Channel"}, "channel"),
        ("POST", f"/videos/{NOBODY}/view", {"watchDuration": -1}, "watchDuration"),
        ("POST", f"/videos/{NOBODY}/view", {"country": "Germany"}, "country"),
        ("POST", "/analytics/view", {"sessionId": "s"}, "videoId"),
        ("POST", "/analytics/engagement", {"videoId": NOBODY, "kind": "dance"}, "kind"),
        ("POST", "/comments", {"videoId": NOBODY}, "text"),
        ("POST", "/comments", {"videoId": NOBODY, "text": "   "}, "text"),
        ("POST", "/comments", {"videoId": NOBODY, "text": "x" * 2001}, "text"),
        ("PUT", f"/comments/{NOBODY}", {"text": 1}, "text"),
        ("POST", f"/comments/{NOBODY}/report", {"reason": "boring"}, "reason"),
        ("PUT", f"/users/{NOBODY}", {"avatarUrl": "not a url"}, "avatarUrl"),
        ("PUT", f"/users/{NOBODY}", {"bio": "x" * 501}, "bio"),
        ("POST", "/moderation/check-text", {"text": ""}, "text"),
        (
            "POST",
            f"/moderation/review/{NOBODY}",
            {"decision": "maybe", "subjectType": "video"},
            "decision",
        ),
        ("POST", "/auth/refresh", {"refreshToken": ""}, "refreshToken"),
    ],
)
async def test_every_body_is_checked(
    bystander: Person, method: str, path: str, body: Any, field: str
) -> None:
    """SH-150, PN-34: each route names its wrong field."""
    answer = await bystander.call(method, path, body)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR"), answer
    assert list(answer.fields) == [field]


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/videos/not-a-uuid", "videoId"),
        ("GET", "/users/7", "userId"),
        ("GET", "/comments/x", "commentId"),
        ("GET", "/commands/x", "commandId"),
        ("POST", "/videos/not-a-uuid/like", "videoId"),
        ("DELETE", "/users/x/follow", "userId"),
        ("GET", "/videos?limit=51", "limit"),
        ("GET", "/videos?limit=0", "limit"),
        ("GET", "/videos?page=0", "page"),
        ("GET", "/videos?page=one", "page"),
        ("GET", "/videos?sort=colour", "sort"),
        ("GET", "/videos?duration=endless", "duration"),
        ("GET", "/videos?cursor=nonsense", "cursor"),
        ("GET", "/videos?uploadedAfter=yesterday", "uploadedAfter"),
        ("GET", "/search?sort=colour", "sort"),
        ("GET", "/search?cursor=nonsense", "cursor"),
        ("GET", "/search/autocomplete", "q"),
        ("GET", "/videos/trending?window=year", "window"),
        ("GET", f"/analytics/video/{NOBODY}?from=soon", "from"),
    ],
)
async def test_every_parameter_is_checked(
    bystander: Person, method: str, path: str, field: str
) -> None:
    """SH-12, SH-13, SH-14, SH-150: ids, pages, sorts, filters."""
    answer = await bystander.call(method, path)
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR"), answer
    assert list(answer.fields) == [field]


@pytest.mark.parametrize("content", [b"{bad", b"", b"\xff\xfe", b"[1, 2]", b'"text"'])
async def test_bodies_that_are_no_objects_are_refused(bystander: Person, content: bytes) -> None:
    """SH-16, SH-150: bad JSON is a 400 with the envelope."""
    response = await bystander.api.raw(
        "POST",
        "/api/v1/comments",
        content=content,
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {bystander.token}"},
    )
    body = response.json()
    assert response.status_code == 400
    assert (body["success"], body["error"]["code"]) == (False, "VALIDATION_ERROR")
    assert body["error"]["details"]


@pytest.mark.parametrize("declared", [True, False])
async def test_bodies_that_are_too_large_are_refused(api: Api, declared: bool) -> None:
    """SH-150: 413, whether the length was declared or not."""
    content = b'{"text": "' + b"x" * 1_100_000 + b'"}'

    async def pieces() -> Any:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    response = await api.raw(
        "POST",
        "/api/v1/comments",
        content=content if declared else pieces(),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


async def test_files_over_the_limit_are_refused_before_they_are_sent(bystander: Person) -> None:
    """SH-29: the declared size is checked."""
    body = {"filename": "long.mp4", "contentType": "video/mp4", "size": 6 * 1024**3}
    assert (await bystander.post("/videos/upload-url", body)).status == 413


async def test_text_is_trimmed_and_cleaned(person: Person, backstage: Any) -> None:
    """SH-146, SH-147, SH-149: spaces go, markup in descriptions goes, other signs stay."""
    video = await backstage.ready_video(person)
    changes = {
        "title": "  1 < 2 & 3 > 2  ",
        "description": ' <p onclick="x()">Plain <b>text</b></p><script>alert(1)</script> a < b ',
    }
    assert (await person.put(f"/videos/{video}", changes)).status == 200
    shown = (await person.get(f"/videos/{video}")).data
    assert shown["title"] == "1 < 2 & 3 > 2"
    assert shown["description"] == "Plain text a < b"


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE videos; --", "' OR '1'='1", "%' UNION SELECT 1 --", "\\'); --"]
)
async def test_text_is_never_part_of_a_statement(
    bystander: Person, public_video: str, text: str
) -> None:
    """SH-151: parameters are bound: what looks like SQL is looked for, and found nowhere."""
    for path in ("/videos", "/search"):
        name_of_filter = "category" if path == "/videos" else "q"
        answer = await bystander.get(path, **{name_of_filter: text})
        assert answer.status == 200
        assert path == "/search" or answer.data == []
    posted = await bystander.post("/comments", {"videoId": public_video, "text": text})
    shown = await bystander.get(f"/comments/{posted.data['id']}")
    assert shown.data["text"] == text


async def test_validation_comes_before_authentication(api: Api, public_video: str) -> None:
    """PN-33, PN-36: a wrong body is 400 for whoever sends it; a right one then needs an account."""
    wrong = await api.call("POST", "/comments", {"videoId": public_video})
    assert wrong.status == 400
    right = await api.call("POST", "/comments", {"videoId": public_video, "text": "hello"})
    assert right.status == 401


async def test_a_consistency_token_that_is_none_of_ours_is_refused(bystander: Person) -> None:
    """SH-150: the header is named."""
    answer = await bystander.call("GET", "/videos", seen="v1.bm9uc2Vuc2U")
    assert (answer.status, list(answer.fields)) == (400, ["Consistency-Token"])
