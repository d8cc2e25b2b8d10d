"""Pages and cursors: every row once, also while the list grows; cursors that are none."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.http.paging import encode_cursor
from tests.support.api import Person
from tests.support.videos import Backstage, upload

NOBODY = "00000000-0000-7000-8000-000000000000"


async def _comments(person: Person, video: str, count: int) -> list[str]:
    texts = [f"remark {number}" for number in range(count)]
    for text in texts:
        assert (await person.post("/comments", {"videoId": video, "text": text})).status == 201
    return texts


async def _walk(person: Person, path: str, **params: Any) -> list[Any]:
    """Return all rows by following cursors."""
    rows: list[Any] = []
    cursor = None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        answer = await person.get(path, **params, **more)
        assert answer.status == 200, answer
        rows += answer.data
        cursor = answer.meta.get("nextCursor")
        if cursor is None:
            return rows


async def test_pages_by_number_tell_where_they_are(person: Person, video: str) -> None:
    """SH-12, SH-15, PN-01: page, limit, total and pages, flat and nested; the last is short."""
    texts = await _comments(person, video, 5)
    path = f"/videos/{video}/comments"
    first = await person.get(path, limit=2)
    assert [row["text"] for row in first.data] == texts[:-3:-1]
    flat = {"page": 1, "limit": 2, "total": 5, "totalPages": 3}
    assert first.meta.items() >= flat.items()
    assert first.meta["pagination"].items() >= flat.items()
    last = await person.get(path, limit=2, page=3)
    assert [row["text"] for row in last.data] == texts[:1]
    beyond = await person.get(path, limit=2, page=4)
    assert (beyond.status, beyond.data, beyond.meta["total"]) == (200, [], 5)


async def test_a_cursor_neither_skips_nor_repeats_while_rows_are_added(
    person: Person, video: str
) -> None:
    """SH-12: new rows at the front move pages by number, not those by cursor."""
    texts = await _comments(person, video, 4)
    path = f"/videos/{video}/comments"
    first = await person.get(path, limit=2)
    await _comments(person, video, 3)
    second = await person.get(path, limit=2, cursor=first.meta["nextCursor"])
    assert [row["text"] for row in (*first.data, *second.data)] == texts[::-1]


@pytest.mark.parametrize(
    "sort", ["-likes", "views", "title", "duration", "-duration", "uploadedAt"]
)
async def test_every_sort_walks_through_all_rows(
    person: Person, backstage: Backstage, sort: str
) -> None:
    """SH-14: rows with equal values, and rows without one, come once each."""
    videos = [await backstage.ready_video(person, title=f"Film {n % 2}") for n in range(4)]
    never = [(await upload(person, b"never to be a film")).data["id"] for _ in range(3)]
    walked = await _walk(person, f"/users/{person.id}/videos", limit=2, sort=sort)
    assert sorted(row["id"] for row in walked) == sorted([*videos, *never])


async def test_a_list_is_walked_however_long_its_titles_are(
    person: Person, backstage: Backstage
) -> None:
    """SH-14: a cursor holds the title, and a letter may have four bytes."""
    for number in range(2):
        await backstage.ready_video(person, title=str(number) + "\U0001f3ac" * 199)
    walked = await _walk(person, f"/users/{person.id}/videos", limit=1, sort="title")
    assert [row["title"][0] for row in walked] == ["0", "1"]


async def test_search_is_walked_by_number_and_by_cursor(
    person: Person, backstage: Backstage
) -> None:
    """SH-69: the same hits in the same order, total and pages in the meta."""
    word = f"zebra{person.id[-8:]}"
    videos = [await backstage.ready_video(person, title=f"A {word} at noon") for _ in range(5)]
    for sort in ("-relevance", "-views", "-uploadDate"):
        answer = await person.get("/search", q=word, limit=2, sort=sort)
        assert answer.meta.items() >= {"query": word, "total": 5, "totalPages": 3}.items()
        by_number = [
            row["id"]
            for page in (1, 2, 3)
            for row in (await person.get("/search", q=word, limit=2, page=page, sort=sort)).data
        ]
        by_cursor = [
            row["id"] for row in await _walk(person, "/search", q=word, limit=2, sort=sort)
        ]
        assert by_number == by_cursor
        assert sorted(by_cursor) == sorted(videos)


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("/videos?sort=-views", ["junk", NOBODY]),
        ("/videos?sort=-views", ["1", "not-a-uuid"]),
        ("/videos?sort=-uploadedAt", ["no time", NOBODY]),
        ("/videos?sort=-views", ["99999999999999999999999", NOBODY]),
        ("/videos", [1, 2, 3]),
        ("/videos", [{"a": 1}, NOBODY]),
        ("/search?sort=-views", [1.5, "x"]),
        ("/search?sort=-uploadDate", [1e300, "x"]),
        ("/search", ["one", "x"]),
        ("/search", [True, "x"]),
    ],
)
async def test_cursors_that_are_none_are_refused(
    bystander: Person, path: str, cursor: list[Any]
) -> None:
    """SH-150: a cursor that was tampered with is wrong input, nothing else."""
    joint = "&" if "?" in path else "?"
    answer = await bystander.call("GET", f"{path}{joint}cursor={encode_cursor(cursor)}")
    assert (answer.status, list(answer.fields)) == (400, ["cursor"]), answer


@pytest.mark.parametrize("cursor", ["!", "AAAA", "bnVsbA", "W10", "e30"])
async def test_cursors_that_hold_nothing_are_refused(bystander: Person, cursor: str) -> None:
    """SH-150: neither base64 nor a list."""
    for path in ("/videos", "/search", f"/users/{bystander.id}/followers"):
        answer = await bystander.call("GET", f"{path}?cursor={cursor}")
        assert (answer.status, list(answer.fields)) == (400, ["cursor"]), answer
