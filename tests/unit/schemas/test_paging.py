"""Pages and cursors of lists."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from events.errors import Invalid
from schemas.http.paging import Page, decode_cursor, encode_cursor, page_meta, page_of
from tests.unit.events.known import VIDEO


@pytest.mark.parametrize("values", [(7, VIDEO), (0.25, VIDEO), (None, VIDEO), ("Grüße/+", VIDEO)])
def test_a_cursor_names_the_row_it_was_made_of(values: tuple[object, ...]) -> None:
    assert decode_cursor(encode_cursor(values)) == values


def test_a_time_in_a_cursor_is_text() -> None:
    moment = datetime(2026, 3, 1, 9, 30, 0, 5, UTC)
    [text, _] = decode_cursor(encode_cursor([moment, VIDEO]))
    assert datetime.fromisoformat(text) == moment


@pytest.mark.parametrize("cursor", ["x", "!!!", "e30", "W10", "bnVsbA", "é", "W"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        decode_cursor(cursor)
    assert refusal.value.details[0].field == "cursor"


async def test_a_page_by_number_starts_behind_the_pages_before_it() -> None:
    assert (await page_of(page=1, limit=20, cursor=None)).offset == 0
    assert (await page_of(page=3, limit=20, cursor=None)).offset == 40


async def test_a_page_by_cursor_starts_at_its_row() -> None:
    page = await page_of(page=9, limit=20, cursor=encode_cursor([7, VIDEO]))
    assert page.offset == 0
    assert page.cursor == (7, VIDEO)


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2), (40, 2)])
def test_the_number_of_pages_is_rounded_up(total: int, pages: int) -> None:
    meta = page_meta(Page(1, 20, None), total, "next")
    assert meta.total_pages == pages
    assert meta.pagination is not None
    assert meta.pagination.model_dump() == {
        "page": 1,
        "limit": 20,
        "total": total,
        "total_pages": pages,
        "next_cursor": "next",
    }
