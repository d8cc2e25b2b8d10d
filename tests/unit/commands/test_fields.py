"""What clients may send, at the limits."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from commands.endpoints.auth import RegisterBody
from commands.endpoints.comments import TextBody
from commands.endpoints.engagement import BeatBody, ShareBody, WatchBody
from commands.endpoints.fields import (
    Category,
    CommentText,
    Country,
    Description,
    Device,
    Password,
    ShortText,
    Tag,
    Title,
    Username,
)
from commands.endpoints.users import ProfileBody
from commands.endpoints.videos import UploadBody, VideoBody, VideoChanges
from tests.unit.events.known import VIDEO

LIMITS: dict[str, tuple[Any, int, int]] = {
    "title": (Title, 3, 200),
    "description": (Description, 0, 5000),
    "tag": (Tag, 1, 50),
    "category": (Category, 1, 50),
    "comment": (CommentText, 1, 2000),
    "note": (ShortText, 0, 500),
    "device": (Device, 1, 50),
    "username": (Username, 3, 50),
    "password": (Password, 8, 72),
}


def accepts(field: Any, value: object) -> bool:
    try:
        TypeAdapter(field).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(("field", "shortest", "longest"), LIMITS.values(), ids=LIMITS)
def test_a_text_has_a_shortest_and_a_longest_form(field: Any, shortest: int, longest: int) -> None:
    assert accepts(field, "x" * shortest)
    assert accepts(field, "x" * longest)
    assert not accepts(field, "x" * (longest + 1))
    assert shortest == 0 or not accepts(field, "x" * (shortest - 1))


@pytest.mark.parametrize(
    "name", ["title", "description", "tag", "category", "comment", "note", "device", "username"]
)
def test_a_text_is_trimmed_before_it_is_measured(name: str) -> None:
    field, shortest, longest = LIMITS[name]
    assert TypeAdapter(field).validate_python(f"  {'x' * longest}\n ") == "x" * longest
    assert shortest == 0 or not accepts(field, " " * longest)


def test_a_password_is_taken_as_it_is() -> None:
    assert TypeAdapter(Password).validate_python("  secret  ") == "  secret  "


@pytest.mark.parametrize("field", [Title, Tag, Category])
@pytest.mark.parametrize("text", ["<b>bold</b>", "a <script>x</script>", "x</p>", "<img src=x>"])
def test_markup_is_refused_in_names(field: Any, text: str) -> None:
    assert not accepts(field, text)


@pytest.mark.parametrize("name", ["title", "description", "tag", "category", "comment", "note"])
@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b"])
def test_control_characters_are_refused(name: str, character: str) -> None:
    assert not accepts(LIMITS[name][0], f"abc{character}def")


@pytest.mark.parametrize("field", [Description, CommentText])
@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("Fine <b>light</b>", "Fine light"),
        ('<a href="https://x" onclick="y()">here</a>', "here"),
        ("before<script>alert(1)</script>after", "beforeafter"),
        ("before<style>p {}</style>after", "beforeafter"),
        ("<img src=x onerror=alert(1)>caption", "caption"),
        ("<!-- hidden -->shown", "shown"),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("Tom &amp; Ada", "Tom &amp; Ada"),
        ("Tom & <i>Ada</i>", "Tom & Ada"),
        ("I <3 boats", "I <3 boats"),
        ("<i>x</i>&lt;script&gt;alert(1)&lt;/script&gt;y", "xy"),
        ("<i>x</i>&lt;img src=x onerror=alert(1)&gt;y", "xy"),
        ("<i>x</i>&amp;lt;b&amp;gt;y", "xy"),
        ("Grüße 🌊\nzwei", "Grüße 🌊\nzwei"),
    ],
)
def test_markup_is_stripped_from_texts(field: Any, text: str, stripped: str) -> None:
    assert TypeAdapter(field).validate_python(text) == stripped


def test_a_text_is_measured_without_its_markup() -> None:
    assert accepts(Description, f"<p>{'x' * 5000}</p>")
    assert not accepts(CommentText, "<p></p>")


def test_markup_that_is_escaped_again_and_again_is_refused() -> None:
    assert not accepts(Description, "<i>x</i>&" + "amp;" * 20 + "lt;b>")


@pytest.mark.parametrize("username", ["ada", "Ada.L-1_x", "a" * 50])
def test_a_username_has_letters_digits_and_a_few_signs(username: str) -> None:
    assert accepts(Username, username)


@pytest.mark.parametrize("username", ["ab", "ada lovelace", "ada@x", "ädä", "<ada>", "ada\n\nx"])
def test_other_usernames_are_refused(username: str) -> None:
    assert not accepts(Username, username)


@pytest.mark.parametrize("country", ["NO", "DE"])
def test_a_country_is_two_capitals(country: str) -> None:
    assert accepts(Country, country)
    assert not accepts(Country, country.lower())
    assert not accepts(Country, f"{country}X")


def body(model: type[BaseModel], **fields: object) -> BaseModel:
    return model.model_validate(fields)


@pytest.mark.parametrize("count", [0, 10])
def test_a_video_has_ten_tags_at_most(count: int) -> None:
    tags = [f"tag{number}" for number in range(count)]
    assert body(VideoBody, videoId=VIDEO, title="Boats", tags=tags)
    with pytest.raises(ValidationError):
        body(VideoBody, videoId=VIDEO, title="Boats", tags=[f"tag{n}" for n in range(11)])


REFUSED: list[tuple[type[BaseModel], dict[str, object]]] = [
    (VideoBody, {"title": "Boats", "visibility": "secret"}),
    (VideoBody, {"title": "Boats", "colour": "blue"}),
    (VideoBody, {}),
    (VideoBody, {"title": "Boats", "videoId": "7"}),
    (VideoChanges, {}),
    (VideoChanges, {"title": None}),
    (UploadBody, {"filename": "", "contentType": "video/mp4", "size": 1}),
    (UploadBody, {"filename": "a.mp4", "contentType": "text/html", "size": 1}),
    (UploadBody, {"filename": "a.mp4", "contentType": "video/mp4; x", "size": 1}),
    (UploadBody, {"filename": "a.mp4", "contentType": "video/mp4", "size": 0}),
    (RegisterBody, {"username": "ada", "email": "nobody", "password": "x" * 8}),
    (RegisterBody, {"username": "ada", "email": "a@example.org", "password": "x" * 7}),
    (TextBody, {"text": "   "}),
    (ProfileBody, {}),
    (ProfileBody, {"avatarUrl": "javascript:alert(1)"}),
    (ProfileBody, {"bio": "x" * 501}),
    (ShareBody, {"channel": "carrier pigeon"}),
    (WatchBody, {"watchDuration": -1}),
    (WatchBody, {"sessionId": ""}),
    (BeatBody, {"videoId": VIDEO, "kind": "yawn"}),
]


@pytest.mark.parametrize(("model", "fields"), REFUSED)
def test_a_body_that_is_wrong_is_refused(model: type[BaseModel], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        body(model, **fields)


def test_bodies_that_are_right_are_accepted() -> None:
    assert body(UploadBody, filename="a.mp4", contentType="application/octet-stream", size=1)
    assert body(VideoChanges, description="")
    assert body(ProfileBody, avatarUrl="https://example.org/ada.png")
    assert body(RegisterBody, username="ada", email="ada@example.com", password="x" * 8)
    assert body(BeatBody, videoId=VIDEO, kind="seek", position=3.5)


@pytest.mark.parametrize(("field", "longest"), [(Description, 5000), (CommentText, 2000)])
def test_a_text_with_far_more_markup_than_text_is_refused_unread(field: Any, longest: int) -> None:
    """Markup costs time that grows with the square of its length, and anybody can send it."""
    assert TypeAdapter(field).validate_python("<b>" * 200 + "word") == "word"
    assert not accepts(field, "<b>" * longest + "word")


def test_tags_that_never_end_hold_nobody_up() -> None:
    """With a search that begins anew at each of them, a body's worth took minutes."""
    assert not accepts(CommentText, "<a" * 500_000)
    assert not accepts(Title, "<a" * 500_000)


@pytest.mark.parametrize(
    ("password", "fits"), [("\u00e9" * 36, True), ("\u00e9" * 37, False), ("x" * 72, True)]
)
def test_a_password_is_no_longer_than_what_is_hashed_of_it(password: str, fits: bool) -> None:
    assert accepts(Password, password) is fits


@pytest.mark.parametrize("kind", ["text/html", "", "video", "video/" + "x" * 115])
@pytest.mark.parametrize("body", [UploadBody, VideoBody])
def test_an_upload_is_of_a_video(body: type[BaseModel], kind: str) -> None:
    sent = {"filename": "film", "title": "A film", "contentType": kind, "size": 1}
    known = {name: sent[name] for name in ("filename", "contentType", "size")}
    with pytest.raises(ValidationError, match="contentType"):
        body.model_validate(sent if body is VideoBody else known)
