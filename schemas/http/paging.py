"""Paging, filtering and sorting of lists: ``page``/``limit`` or an opaque cursor; ``sort=-views``.

A cursor names the last row that was seen by its sort value and id, so that pages neither repeat
nor skip rows while the list grows.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Query

from events.errors import Invalid
from schemas.http.envelope import Meta, Pagination

DEFAULT_LIMIT = 20
MAX_LIMIT = 50
#: Deeper offsets cost the database more than anybody gains; a cursor has no such bound.
MAX_PAGE = 1_000
#: Room for the longest title there can be, in letters of four bytes, and an id.
_CURSOR_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows are wanted: a page by number, or those after a cursor's row."""

    page: int
    limit: int
    cursor: tuple[Any, ...] | None

    @property
    def offset(self) -> int:
        return 0 if self.cursor is not None else (self.page - 1) * self.limit


async def page_of(
    page: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=_CURSOR_CHARACTERS)] = None,
) -> Page:
    """Return the page that a request asks for; a FastAPI dependency."""
    return Page(page, limit, decode_cursor(cursor) if cursor else None)


def encode_cursor(values: Sequence[Any]) -> str:
    """Return a cursor for a row's sort value and id."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values), default=str)).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[Any, ...]:
    """Return the values in a cursor.

    Raises:
        Invalid: it is no cursor of ours.
    """
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise Invalid.field("cursor", "is not a cursor of this list") from None
    if not isinstance(values, list) or not values:
        raise Invalid.field("cursor", "is not a cursor of this list")
    return tuple(values)


def page_meta(page: Page, total: int, next_cursor: str | None = None, **more: Any) -> Meta:
    """Return the meta of a list: flat fields and the nested object."""
    pages = -(-total // page.limit)
    return Meta(
        page=page.page,
        limit=page.limit,
        total=total,
        total_pages=pages,
        next_cursor=next_cursor,
        pagination=Pagination(
            page=page.page,
            limit=page.limit,
            total=total,
            total_pages=pages,
            next_cursor=next_cursor,
        ),
        **more,
    )
