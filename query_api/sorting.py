"""Sorted pages of a query, by number or by cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from events.errors import Invalid
from query_api.reading import Row, Rows
from schemas.http.paging import Page, encode_cursor


@dataclass(frozen=True, slots=True)
class Sort:
    """An expression to sort by, with the type that a cursor's value is cast to."""

    expression: str
    kind: str
    descending: bool = True

    @staticmethod
    def chosen(text: str, sorts: Mapping[str, Sort]) -> Sort:
        """Return what ``sort=-views`` means; a leading minus is descending.

        Raises:
            Invalid: there is no such sort.
        """
        name = text.removeprefix("-")
        if name not in sorts:
            raise Invalid.field(
                "sort", f"must be one of {', '.join(sorts)}, with '-' for descending"
            )
        return replace(sorts[name], descending=text.startswith("-"))


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a page, how many rows there are in all, and the cursor behind the last one."""

    rows: Sequence[Row]
    total: int
    next_cursor: str | None


async def sorted_page(
    rows: Rows,
    *,
    columns: str,
    source: str,
    arguments: Sequence[Any],
    sort: Sort,
    identity: str,
    page: Page,
) -> Found:
    """Return one page of ``SELECT columns source``, sorted, ties broken by ``identity`` (a uuid).

    ``source`` is ``FROM … WHERE …`` with ``$1`` … ``$n`` for ``arguments``; it comes from code,
    never from a request.
    """
    count = len(arguments)
    direction, beyond = ("DESC", "<") if sort.descending else ("ASC", ">")
    after, extra = "", []
    if page.cursor is not None:
        after = (
            f" AND ({sort.expression}, {identity}) {beyond} "
            f"(${count + 1}::text::{sort.kind}, ${count + 2}::text::uuid)"
        )
        extra = _cursor_arguments(page.cursor)
    statement = (
        f"SELECT {columns}, ({sort.expression})::text AS sort_value, {identity} AS sort_id "
        f"{source}{after} ORDER BY {sort.expression} {direction}, {identity} {direction} "
        f"LIMIT {page.limit} OFFSET {page.offset}"
    )
    try:
        found = await rows.fetch(statement, *arguments, *extra)
    except ValueError:
        if page.cursor is None:
            raise
        raise Invalid.field("cursor", "is not a cursor of this list") from None
    total = await rows.fetchrow(f"SELECT count(*) AS total {source}", *arguments)
    full = len(found) == page.limit
    next_cursor = (
        encode_cursor([found[-1]["sort_value"], str(found[-1]["sort_id"])]) if full else None
    )
    return Found(found, int(total["total"]) if total else 0, next_cursor)


def _cursor_arguments(cursor: Sequence[Any]) -> list[str]:
    if len(cursor) != 2 or not all(isinstance(value, str) for value in cursor):
        raise Invalid.field("cursor", "is not a cursor of this list")
    return list(cursor)
