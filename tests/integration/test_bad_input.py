"""What is wrong is named, in the one envelope, with the right status."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.test_videos import described, uploaded
from tests.support.api import Api, Person
from tests.support.streamhub import StreamHub

ID = "00000000-0000-7000-8000-000000000000"

WRONG_VIDEOS: dict[str, tuple[dict[str, Any], str]] = {
    "title too short": ({"title": "ab"}, "title"),
    "title too long": ({"title": "a" * 201}, "title"),
    "title of spaces": ({"title": "   "}, "title"),
    "title missing": ({"title": None}, "title"),
    "title with markup": ({"title": "a <b>bold</b> one"}, "title"),
    "title of another type": ({"title": 7}, "title"),
    "description too long": ({"description": "a" * 5001}, "description"),
    "eleven tags": ({"tags": [f"tag{n}" for n in range(11)]}, "tags"),
    "tags of another type": ({"tags": "harbour"}, "tags"),
    "unknown visibility": ({"visibility": "secret"}, "visibility"),
    "unknown field": ({"colour": "red"}, "colour"),
    "malformed id": ({"videoId": "not-a-uuid"}, "videoId"),
}


@pytest.mark.parametrize("case", WRONG_VIDEOS)
async def test_a_wrong_video_names_its_field(person: Person, case: str) -> None:
    """SH-146, SH-147, SH-148, SH-150, PN-34: a 400 with the field and what is wrong."""
    changes, field = WRONG_VIDEOS[case]
    answer = await person.post("/videos", described(ID, **changes))
    assert (answer.status, answer.code) == (400, "VALIDATION_ERROR")
    assert set(answer.fields) == {field}
    assert answer.body["error"]["message"] == "Invalid input"


async def test_limits_are_inclusive(person: Person) -> None:
    """SH-146, SH-147, SH-149: the longest that is allowed is allowed; markup is stripped."""
    video = await uploaded(person)
    wide = described(
        video, title="a" * 200, description="b" * 4990 + "<script>x</script>", tags=["t"] * 10
    )
    assert (await person.post("/videos", wide)).status == 201
    stored = (await person.get(f"/videos/{video}")).data
    assert stored["description"] == "b" * 4990
    assert stored["tags"] == ["t"]


async def test_a_sign_in_with_what_no_store_can_hold_is_wrong_input(api: Api) -> None:
    body = {"email": "a\x00b@example.org", "password": "\x00"}
    answer = await api.call("POST", "/auth/login", body)
    assert (answer.status, set(answer.fields)) == (400, {"email"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "ab"}, "username"),
        ({"username": "a" * 51}, "username"),
        ({"username": "with space"}, "username"),
        ({"email": "nobody"}, "email"),
        ({"email": f"{'a' * 250}@example.org"}, "email"),
        ({"password": "short"}, "password"),
    ],
)
async def test_a_wrong_registration_names_its_field(
    api: Api, body: dict[str, str], field: str
) -> None:
    good = {"username": "someone", "email": "someone@example.org", "password": "long enough"}
    answer = await api.call("POST", "/auth/register", {**good, **body})
    assert (answer.status, set(answer.fields)) == (400, {field})


async def test_bad_json_and_big_bodies_are_refused(api: Api, person: Person) -> None:
    """SH-11, SH-16: 400 for what is no JSON, 413 for what is too much."""
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}
    bad = await api.raw("POST", "/api/v1/comments", content=b"{bad", headers=headers)
    assert bad.status_code == 400
    assert bad.json()["error"]["details"][0]["field"] == "body"
    big = await api.raw("POST", "/api/v1/comments", content=b"x" * 1_100_000, headers=headers)
    assert (big.status_code, big.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")

    async def drops() -> Any:
        for _ in range(30):
            yield b"x" * 50_000

    chunked = await api.raw("POST", "/api/v1/comments", content=drops(), headers=headers)
    assert chunked.status_code == 413


async def test_malformed_ids_and_unknown_routes(person: Person) -> None:
    """SH-10, SH-11: versioned routes, and a 404 in the envelope for what is none."""
    malformed = await person.post("/videos/not-a-uuid/like")
    assert (malformed.status, set(malformed.fields)) == (400, {"videoId"})
    missing = await person.post(f"/videos/{ID}/like")
    assert (missing.status, missing.code) == (404, "VIDEO_NOT_FOUND")
    nowhere = await person.get("/nowhere")
    assert (nowhere.status, nowhere.code) == (404, "NOT_FOUND")
    token = await person.call("GET", f"/videos/{ID}", seen="garbage")
    assert (token.status, set(token.fields)) == (400, {"Consistency-Token"})


async def test_validation_comes_before_authentication(api: Api) -> None:
    """PN-33, PN-35: a wrong body is a 400 for anybody, a right one needs a caller."""
    wrong = await api.call("POST", "/videos", {"title": "ab"})
    assert wrong.status == 400
    right = await api.call("POST", "/videos", described(ID))
    assert (right.status, right.body["error"]["message"]) == (401, "Authentication required")
    worthless = await api.call("POST", "/videos", {"title": "ab"}, token="x.y.z")
    assert worthless.status == 400


async def test_every_answer_has_the_envelope(person: Person, video: str) -> None:
    """SH-15, PN-01: success, data, error and meta; lists carry flat and nested paging."""
    answer = await person.get("/videos", limit=1)
    assert set(answer.body) == {"success", "data", "error", "meta"}
    assert {"page", "limit", "total", "totalPages", "pagination"} <= set(answer.meta)
    assert answer.meta["limit"] == 1
    one = await person.get(f"/videos/{video}")
    assert (one.body["success"], one.body["error"]) == (True, None)
    too_many = await person.get("/videos", limit=51)
    assert (too_many.status, set(too_many.fields)) == (400, {"limit"})


async def test_sql_in_the_input_is_text(person: Person, video: str) -> None:
    """SH-151: parameters are bound, never pasted."""
    evil = "'; DROP TABLE videos; --"
    await person.put(f"/videos/{video}", {"title": evil})
    assert (await person.get(f"/videos/{video}")).data["title"] == evil
    assert (await person.get("/videos", category=evil)).data == []
    assert (await person.get("/search", q=evil)).status == 200


async def test_the_process_tells_how_it_is(streamhub: StreamHub, api: Api) -> None:
    """SH-171, SH-172, SH-173, SH-176: health, detail and metrics under their fixed names."""
    assert streamhub
    health = await api.raw("GET", "/health")
    assert health.status_code == 200
    assert set(health.json()) == {"uptime", "timestamp", "database", "redis", "storage"}
    detail = (await api.raw("GET", "/health/detail")).json()
    assert set(detail["servers"]) == {
        "postgres",
        "redis",
        "s3",
        "kafka",
        "clickhouse",
        "opensearch",
    }
    assert all(server["up"] for server in detail["servers"].values()), detail
    text = (await api.raw("GET", "/metrics")).text
    for name in (
        "http_request_duration_ms_bucket",
        "http_requests_total",
        "video_uploads_total",
        "projection_lag_events",
        "projection_lag_seconds",
    ):
        assert name in text
    assert 'status_code="' in text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("category=%00", "category"),
        ("tag=a%00b", "tag"),
        ("uploadedAfter=0001-01-01T00:00:00%2B14:00", "uploadedAfter"),
        ("uploadedBefore=9999-12-31T23:59:59-14:00", "uploadedBefore"),
    ],
)
async def test_a_filter_that_no_store_can_hold_names_its_field(
    person: Person, query: str, field: str
) -> None:
    """SH-150."""
    answer = await person.get(f"/videos?{query}")
    assert (answer.status, list(answer.fields)) == (400, [field]), answer


@pytest.mark.parametrize("days", ["from=9999-12-31&to=9999-12-31", "to=0001-01-15"])
async def test_figures_of_days_far_away_are_none(person: Person, video: str, days: str) -> None:
    """The owner's days may be any that a calendar has."""
    answer = await person.get(f"/analytics/video/{video}?{days}")
    assert (answer.status, answer.data["daily"]) == (200, []), answer


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (
            "/auth/register",
            {"username": "ada", "email": "ada@example.org", "password": "\u00e9" * 40},
            "password",
        ),
        ("/videos", {"title": "A film", "contentType": "text/html"}, "contentType"),
    ],
)
async def test_what_is_too_long_in_bytes_or_of_another_kind_names_its_field(
    person: Person, path: str, body: dict[str, str], field: str
) -> None:
    """SH-150."""
    answer = await person.post(path, body)
    assert (answer.status, list(answer.fields)) == (400, [field]), answer
